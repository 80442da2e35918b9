import { median } from '../support/median.js';
import type { Phases } from './start-phases.js';
import { table } from './table.js';

/** What was measured with that many ranks; milliseconds of every srun. */
export interface MeasuredStart {
  readonly name: string;
  readonly ranks: number;
  /** Without an image, and with one; the n-th of each ran one after the other. */
  readonly bare: readonly number[];
  readonly image: readonly number[];
  readonly phases: readonly Phases[];
}

/** Times are medians in milliseconds. */
export interface StartRow {
  readonly case: string;
  readonly ranks: number;
  readonly bare_ms: number;
  readonly image_ms: number;
  /** Of the differences between neighbours, from which what the machine does besides drops out. */
  readonly overhead_ms: number;
  /** Of the fastest of either: what is left when nothing else disturbs. */
  readonly fastest_overhead_ms: number;
  readonly phases_ms: Readonly<Record<string, number>>;
  /** Every run. */
  readonly runs_ms: Readonly<Record<'bare' | 'image', readonly number[]>>;
}

const rounded = (ms: number): number => Number(ms.toFixed(3));

export const startRow = ({ name, ranks, bare, image, phases }: MeasuredStart): StartRow => ({
  case: name,
  ranks,
  bare_ms: rounded(median(bare)),
  image_ms: rounded(median(image)),
  overhead_ms: rounded(median(image.map((ms, index) => ms - (bare[index] ?? Number.NaN)))),
  fastest_overhead_ms: rounded(Math.min(...image) - Math.min(...bare)),
  phases_ms: Object.fromEntries(
    Object.keys(phases[0] ?? {}).map((phase) => [
      phase,
      rounded(median(phases.map((each) => each[phase as keyof Phases]))),
    ]),
  ),
  runs_ms: { bare: bare.map(rounded), image: image.map(rounded) },
});

export const startTable = (rows: readonly StartRow[]): string[] => {
  const [one] = rows.filter(({ ranks }) => ranks === 1);
  const perRank = ({ ranks, overhead_ms }: StartRow): string =>
    one && ranks > 1 ? `${((overhead_ms - one.overhead_ms) / (ranks - 1)).toFixed(3)} ms` : '-';
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  return table([
    ['case', 'bare srun', 'srun --image', 'overhead', 'of the fastest', 'each further rank'],
    ...rows.map((row) => [
      row.case,
      ...[row.bare_ms, row.image_ms, row.overhead_ms, row.fastest_overhead_ms].map(ms),
      perRank(row),
    ]),
  ]);
};
