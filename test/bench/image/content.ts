import { Random } from './random.js';
import { codeVocabulary, textVocabulary, type Vocabulary } from './vocabulary.js';

/** What is in a file: source text, an ELF-like program, or something that is compressed already. */
export type ContentKind = 'text' | 'program' | 'packed';

const text = textVocabulary(new Random(1));
const code = codeVocabulary(new Random(2));

/** How often, in 256ths, something nearby is repeated instead of a new string begun. */
const repeats = { text: 34, code: 20 };
const windowBytes = 24 << 10;

/** Fills with strings of the vocabulary, and with repeats of what stands shortly before, as compressors hope for. */
const fillWithStrings = (target: Uint8Array, random: Random, from: Vocabulary, repeat: number): void => {
  const { bytes, starts, picks } = from;
  let at = 0;
  while (at < target.length) {
    const bits = random.next();
    let source: Uint8Array = bytes;
    let start: number;
    let length: number;
    if ((bits & 0xff) < repeat && at > 64) {
      const far = random.next();
      source = target;
      length = 8 + ((bits >>> 8) & 0x3f);
      start = Math.max(0, at - length - (far % Math.min(at, windowBytes)));
    } else {
      const index = picks[bits >>> 16] ?? 0;
      start = starts[index] ?? 0;
      length = (starts[index + 1] ?? start) - start;
    }
    const end = Math.min(target.length, at + length);
    while (at < end) target[at++] = source[start++] ?? 0;
  }
};

const fillWithNoise = (target: Buffer, random: Random): void => {
  const whole = target.length - (target.length % 4);
  for (let at = 0; at < whole; at += 4) target.writeUInt32LE(random.next(), at);
  for (let at = whole; at < target.length; at++) target[at] = random.next() & 0xff;
};

/** Relocations: records of an address that grows, a type and an addend. */
const fillWithTable = (target: Buffer, random: Random): void => {
  target.fill(0);
  let address = random.next() & 0xffffff;
  for (let at = 0; at + 24 <= target.length; at += 24) {
    address += 8 << (random.next() & 3);
    target.writeUInt32LE(address >>> 0, at);
    target[at + 8] = 8;
    target.writeUInt32LE(random.next() & 0xfffff, at + 16);
  }
};

const sections = ['code', 'strings', 'table', 'constants', 'zeros'] as const;
const sectionWeights = [62, 16, 9, 7, 6];
const sectionBytes = 16 << 10;

const fillWithProgram = (target: Buffer, random: Random): void => {
  for (let at = 0; at < target.length; at += sectionBytes) {
    const part = target.subarray(at, at + sectionBytes);
    switch (sections[random.weighted(sectionWeights)]) {
      case 'strings':
        fillWithStrings(part, random, text, repeats.text);
        break;
      case 'table':
        fillWithTable(part, random);
        break;
      case 'constants':
        fillWithNoise(part, random);
        break;
      case 'zeros':
        part.fill(0);
        break;
      default:
        fillWithStrings(part, random, code, repeats.code);
    }
  }
};

/** The next bytes of a file of that kind. */
export const fillContent = (target: Buffer, kind: ContentKind, random: Random): void => {
  if (kind === 'text') fillWithStrings(target, random, text, repeats.text);
  else if (kind === 'program') fillWithProgram(target, random);
  else fillWithNoise(target, random);
};
