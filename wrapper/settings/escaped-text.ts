import type { Refuse } from './refuse.js';

/**
 * Splits at each `separator` without a backslash in front. The parts are as they were written: a backslash takes
 * from "," ":" and "\" behind it what they mean.
 */
export function splitEscaped(text: string, separator: ',' | ':'): string[] {
  const parts: string[] = [];
  let part = '';
  for (const [piece] of text.matchAll(/\\.|[^]/gsu)) {
    if (piece !== separator) {
      part += piece;
      continue;
    }
    parts.push(part);
    part = '';
  }
  return [...parts, part];
}

/** What a part stands for. */
export function unescapePart(part: string, refuse: Refuse): string {
  return part.replaceAll(/\\([^]?)/gu, (written, letter: string) => {
    if (letter !== '' && ',:\\'.includes(letter)) return letter;
    return refuse(`"${written}" stands for nothing: a backslash goes before "," ":" or "\\"`);
  });
}

/** The other way round: `text` as it has to be written to stand for itself. */
export function escapePart(text: string): string {
  return text.replaceAll(/[,:\\]/g, '\\$&');
}
