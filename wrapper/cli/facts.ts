import { escapeControls } from '../image/quote.js';

export type Fact = readonly [label: string, text: string | null];

const labelWidth = 13;

/** One fact per line, aligned, control characters escaped. Facts that are not there have no line. */
export function formatFacts(facts: readonly Fact[]): string {
  return facts
    .filter(([, text]) => text !== null && text !== '')
    .map(([label, text]) => `${label.padEnd(labelWidth)}${escapeControls(text ?? '')}\n`)
    .join('');
}
