import { readFileSync } from 'node:fs';

/** A row of references.tsv, which the plugin's tests read too. */
export interface ReferenceCase {
  line: number;
  text: string;
  verdict: 'registry' | 'local' | 'refused';
  /** The canonical reference, the path, or why it is refused. */
  outcome: string;
  selector: string;
}

export function referenceCases(): ReferenceCase[] {
  return readFileSync('test/support/references.tsv', 'utf8')
    .split('\n')
    .map((row, i) => ({ row, line: i + 1 }))
    .filter(({ row }) => row !== '' && !row.startsWith('# ') && row !== '#')
    .map(({ row, line }) => {
      const [text = '', verdict = '', outcome = '', selector = ''] = row.split('\t').map(unescapeCell);
      return { line, text, verdict: verdict as ReferenceCase['verdict'], outcome, selector };
    });
}

/** Bytes that are not UTF-8 come out as U+FFFD, as they do from a command line. */
export function unescapeCell(cell: string): string {
  const known: Record<string, string> = { n: '\n', t: '\t', '\\': '\\' };
  const bytes = cell.replaceAll(
    /\\(?:x([0-9a-f]{2})|([nt\\]))/g,
    (_, hex: string | undefined, letter: string) =>
      hex === undefined ? (known[letter] as string) : String.fromCharCode(parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
