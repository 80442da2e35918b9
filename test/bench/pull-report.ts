import { median } from '../support/median.js';
import { table } from './table.js';

/** What was measured of one image; seconds of every run. */
export interface MeasuredPull {
  readonly name: string;
  readonly bytes: number;
  readonly stowage: readonly number[];
  readonly curl: readonly number[];
  /** curl with several transfers at once; empty for a single layer. */
  readonly curlParallel: readonly number[];
  readonly peakBytes: readonly number[];
  readonly idleBytes: readonly number[];
}

/** Rates are medians in 10^6 bytes per second; null is what was not measured. */
export interface PullRow {
  readonly case: string;
  readonly stowage_mb_s: number;
  /** Of curl one layer after the other. */
  readonly curl_mb_s: number;
  /** Of stowage's rate to curl's. */
  readonly ratio: number;
  /** The most of any run. */
  readonly daemon_peak_rss_bytes: number;
  readonly daemon_idle_rss_bytes: number;
  /** Of curl several layers at once, as many as stowage, and the ratio to that. */
  readonly curl_parallel_mb_s: number | null;
  readonly ratio_to_parallel: number | null;
  readonly bytes: number;
  /** Every run. */
  readonly seconds: Readonly<Record<'stowage' | 'curl' | 'curl_parallel', readonly number[]>>;
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));

export const pullRow = (measured: MeasuredPull): PullRow => {
  const { name, bytes, stowage, curl, curlParallel, peakBytes, idleBytes } = measured;
  const rate = (seconds: readonly number[]): number => bytes / median(seconds) / 1e6;
  const parallelRate = curlParallel.length > 0 ? rate(curlParallel) : undefined;
  const runs = (seconds: readonly number[]) => seconds.map((value) => rounded(value, 3));
  return {
    case: name,
    stowage_mb_s: rounded(rate(stowage), 1),
    curl_mb_s: rounded(rate(curl), 1),
    ratio: rounded(rate(stowage) / rate(curl), 3),
    daemon_peak_rss_bytes: Math.max(...peakBytes),
    daemon_idle_rss_bytes: Math.max(...idleBytes),
    curl_parallel_mb_s: parallelRate === undefined ? null : rounded(parallelRate, 1),
    ratio_to_parallel: parallelRate === undefined ? null : rounded(rate(stowage) / parallelRate, 3),
    bytes,
    seconds: { stowage: runs(stowage), curl: runs(curl), curl_parallel: runs(curlParallel) },
  };
};

const head = [
  ...['case', 'stowage', 'curl', 'ratio', 'curl --parallel', 'ratio'],
  ...['peak memory', 'idle memory'],
];

const cells = (row: PullRow): string[] => {
  const rate = (value: number | null) => (value === null ? '-' : `${value.toFixed(0)} MB/s`);
  const memory = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  return [
    row.case,
    ...[rate(row.stowage_mb_s), rate(row.curl_mb_s), row.ratio.toFixed(2)],
    ...[rate(row.curl_parallel_mb_s), row.ratio_to_parallel?.toFixed(2) ?? '-'],
    ...[row.daemon_peak_rss_bytes, row.daemon_idle_rss_bytes].map(memory),
  ];
};

export const pullTable = (rows: readonly PullRow[]): string[] => table([head, ...rows.map(cells)]);
