import { escapeControls } from '../image/quote.js';

/** Columns below their headings, two or more spaces between them, control characters escaped. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows].map((row) => row.map(escapeControls));
  const widths = headings.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  return lines
    .map((line) => line.map((cell, i) => cell.padEnd(widths[i] as number)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}
