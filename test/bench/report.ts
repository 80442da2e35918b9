import { median } from '../support/median.js';
import type { Usage } from './stowage-unpack.js';
import { table } from './table.js';
import { totalCalls, type SystemCalls } from './system-calls.js';
import type { Content } from './tree.js';

/** What was measured of one image. */
export interface Measured {
  readonly name: string;
  readonly content: Content;
  /** Seconds of every run, by the key of the contender. */
  readonly seconds: ReadonlyMap<string, readonly number[]>;
  /** Of our own runs. */
  readonly usage: readonly Usage[];
  readonly calls?: SystemCalls;
}

/** Seconds are medians; null is what was not measured. */
export interface Row {
  readonly case: string;
  readonly entries: number;
  readonly bytes: number;
  readonly stowage_s: number | null;
  /** On all processors together. */
  readonly stowage_cpu_s: number;
  readonly registry_s: number | null;
  readonly floor_s: number | null;
  readonly ratio_to_floor: number | null;
  readonly tar_s: number | null;
  readonly ratio_to_tar: number | null;
  readonly gzip_tar_s: number | null;
  readonly ratio_to_gzip_tar: number | null;
  readonly zstd_tar_s: number | null;
  readonly bsdtar_s: number | null;
  readonly umoci_s: number | null;
  /** The most that any run needed. */
  readonly peak_rss_bytes: number;
  /** Per entry: file, directory or link. */
  readonly syscalls_per_file: number | null;
  readonly syscalls: SystemCalls;
  /** Every run. */
  readonly seconds: Readonly<Record<string, readonly number[]>>;
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));

export const rowOf = ({ name, content, seconds, usage, calls }: Measured): Row => {
  const time = (key: string): number | null => {
    const values = seconds.get(key) ?? [];
    return values.length === 0 ? null : rounded(median(values), 3);
  };
  const ratio = (key: string): number | null => {
    const [ours, other] = [time('stowage'), time(key)];
    return ours === null || other === null ? null : rounded(ours / other, 3);
  };
  return {
    case: name,
    entries: content.entries,
    bytes: content.bytes,
    stowage_s: time('stowage'),
    stowage_cpu_s: rounded(median(usage.map(({ cpuSeconds }) => cpuSeconds)), 3),
    registry_s: time('registry'),
    floor_s: time('floor'),
    ratio_to_floor: ratio('floor'),
    tar_s: time('tar'),
    ratio_to_tar: ratio('tar'),
    gzip_tar_s: time('gzip_tar'),
    ratio_to_gzip_tar: ratio('gzip_tar'),
    zstd_tar_s: time('zstd_tar'),
    bsdtar_s: time('bsdtar'),
    umoci_s: time('umoci'),
    peak_rss_bytes: Math.max(...usage.map(({ peakBytes }) => peakBytes)),
    syscalls_per_file: calls === undefined ? null : rounded(totalCalls(calls) / content.entries, 2),
    syscalls: calls ?? {},
    seconds: Object.fromEntries(
      [...seconds].map(([key, values]) => [key, values.map((value) => rounded(value, 3))]),
    ),
  };
};

const head = [
  'case',
  'stowage',
  'cpu',
  'with download',
  'floor',
  'tar x',
  'gzip|tar',
  'zstd|tar',
  'bsdtar',
  'umoci',
  'peak memory',
  'calls/file',
];

/** Seconds, and behind those of others what stowage takes of them. */
const cells = (row: Row): string[] => {
  const seconds = (value: number | null) => (value === null ? '-' : `${value.toFixed(2)} s`);
  const compared = (value: number | null) =>
    value === null || row.stowage_s === null
      ? seconds(value)
      : `${seconds(value)} (${(row.stowage_s / value).toFixed(2)})`;
  return [
    row.case,
    seconds(row.stowage_s),
    seconds(row.stowage_cpu_s),
    seconds(row.registry_s),
    ...[row.floor_s, row.tar_s, row.gzip_tar_s, row.zstd_tar_s, row.bsdtar_s, row.umoci_s].map(compared),
    `${(row.peak_rss_bytes / 2 ** 20).toFixed(1)} MiB`,
    row.syscalls_per_file?.toFixed(1) ?? '-',
  ];
};

export const printedTable = (rows: readonly Row[]): string[] => table([head, ...rows.map(cells)]);
