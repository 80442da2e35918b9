import { Random } from './random.js';

/** Byte strings with frequencies after Zipf's law, as words have in text and instructions in programs. */
export interface Vocabulary {
  /** All of them, one after the other. */
  readonly bytes: Uint8Array;
  /** Where each begins in `bytes`; one more at the end. */
  readonly starts: Uint32Array;
  /** Maps 16 random bits to a string: frequent ones stand here often. */
  readonly picks: Uint16Array;
}

const picksCount = 1 << 16;

const vocabulary = (strings: readonly Uint8Array[]): Vocabulary => {
  const starts = new Uint32Array(strings.length + 1);
  strings.forEach((string, index) => (starts[index + 1] = (starts[index] ?? 0) + string.length));
  const weights = strings.map((_, rank) => 1 / (rank + 2.7));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const picks = new Uint16Array(picksCount);
  let filled = 0;
  let sum = 0;
  weights.forEach((weight, index) => {
    sum += weight;
    const end = Math.round((sum / total) * picksCount);
    picks.fill(index, filled, end);
    filled = end;
  });
  return { bytes: Buffer.concat(strings), starts, picks };
};

const syllables = 'a be ci do er fa go hi in ja ko lu me no or pa qui re st tor um ve wa xi ye zo'.split(' ');

/** Made-up words, different from each other, short ones first as in any language. */
export const words = (count: number, random: Random): string[] => {
  const found = new Set<string>();
  while (found.size < count) {
    const length = 1 + random.below(2 + Math.min(3, found.size / 200));
    found.add(Array.from({ length }, () => syllables[random.below(syllables.length)]).join(''));
  }
  return [...found];
};

/** Words with the punctuation of a source text after them. */
export const textVocabulary = (random: Random): Vocabulary => {
  const ends = [' ', ' ', ' ', ' ', '_', '(', ', ', ';\n', '.', '->', ' = ', '\n    ', ')\n'];
  const encoder = new TextEncoder();
  return vocabulary(
    words(5000, random).map((word) => encoder.encode(word + (ends[random.below(ends.length)] ?? ' '))),
  );
};

/** Byte strings as long as the instructions of x86-64. */
export const codeVocabulary = (random: Random): Vocabulary => {
  const prefixes = [0x48, 0x4c, 0x0f, 0xe8, 0x89, 0x8b, 0x83, 0x41];
  return vocabulary(
    Array.from({ length: 4000 }, () => {
      const instruction = Uint8Array.from({ length: 2 + random.below(6) }, () => random.below(256));
      instruction[0] = prefixes[random.below(prefixes.length)] ?? 0x90;
      if (instruction.length > 4) instruction.fill(0, 4);
      return instruction;
    }),
  );
};
