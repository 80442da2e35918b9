import { median } from '../../support/median.js';
import { table } from '../table.js';
import type { BySize, PingPong } from './pingpong.js';

/** One round: the same case on the host and in the image, one right after the other. */
export interface Pair {
  readonly host: PingPong;
  readonly image: PingPong;
}

/** Microseconds or 10^6 bytes per second, medians of all rounds. */
export interface SizeRow {
  readonly bytes: number;
  readonly host: number;
  readonly image: number;
  /** Image to host: the median of what each round says. */
  readonly ratio: number;
  /** Of each round. */
  readonly host_runs: readonly number[];
  readonly image_runs: readonly number[];
}

export interface MpiRow {
  readonly case: string;
  readonly library: string;
  /** Geometric means over the sizes: above 1 the image is slower, or faster. */
  readonly latency_ratio: number;
  readonly bandwidth_ratio: number;
  readonly latency_us: readonly SizeRow[];
  readonly bandwidth_mb_s: readonly SizeRow[];
  /** Calls of process_vm_readv in a run, the least of any. */
  readonly host_copies: number;
  readonly image_copies: number;
  readonly image_copied_bytes: number;
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));

const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

const sizeRows = (pairs: readonly Pair[], of: (run: PingPong) => BySize): SizeRow[] => {
  const [first] = pairs;
  const sizes = first === undefined ? [] : [...of(first.host).keys()];
  return sizes.map((bytes) => {
    const values = (whose: keyof Pair) => pairs.map((pair) => of(pair[whose]).get(bytes) ?? Number.NaN);
    const [host, image] = [values('host'), values('image')];
    const ratios = image.map((value, round) => value / (host[round] ?? Number.NaN));
    return {
      bytes,
      host: rounded(median(host), 3),
      image: rounded(median(image), 3),
      ratio: rounded(median(ratios), 3),
      host_runs: host,
      image_runs: image,
    };
  });
};

export const mpiRow = (name: string, pairs: readonly Pair[]): MpiRow => {
  const latency = sizeRows(pairs, (run) => run.latency);
  const bandwidth = sizeRows(pairs, (run) => run.bandwidth);
  const mean = (rows: readonly SizeRow[]) => rounded(geometricMean(rows.map(({ ratio }) => ratio)), 3);
  const least = (of: (pair: Pair) => number) => Math.min(...pairs.map(of));
  return {
    case: name,
    library: pairs[0]?.image.ranks[0]?.library ?? '',
    latency_ratio: mean(latency),
    bandwidth_ratio: mean(bandwidth),
    latency_us: latency,
    bandwidth_mb_s: bandwidth,
    host_copies: least(({ host }) => host.copies.reads),
    image_copies: least(({ image }) => image.copies.reads),
    image_copied_bytes: least(({ image }) => image.copies.bytes),
  };
};

const head = ['case', 'latency 8 B', '8 KiB', 'ratio', 'bandwidth 64 KiB', '4 MiB', 'ratio', 'copies (CMA)'];

/** Of the image, and behind it in brackets of the host. */
const cells = (row: MpiRow): string[] => {
  const at = (rows: readonly SizeRow[], bytes: number, unit: string, digits: number) => {
    const found = rows.find((each) => each.bytes === bytes);
    return found ? `${found.image.toFixed(digits)} (${found.host.toFixed(digits)}) ${unit}` : '-';
  };
  return [
    row.case,
    at(row.latency_us, 8, 'us', 2),
    at(row.latency_us, 8192, 'us', 2),
    row.latency_ratio.toFixed(3),
    at(row.bandwidth_mb_s, 65_536, 'MB/s', 0),
    at(row.bandwidth_mb_s, 4_194_304, 'MB/s', 0),
    row.bandwidth_ratio.toFixed(3),
    `${row.image_copies} (${row.host_copies})`,
  ];
};

export const mpiTable = (rows: readonly MpiRow[]): string[] => table([head, ...rows.map(cells)]);
