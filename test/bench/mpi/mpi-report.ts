import { table } from '../table.js';
import type { BySize, PingPong } from './pingpong.js';
import { comparable, type Sample } from './samples.js';

/** One round: the same case on the host and in the image, one right after the other. */
export interface Pair {
  readonly host: PingPong;
  readonly image: PingPong;
}

/** Microseconds or 10^6 bytes per second: the best of those runs in which the machine was in the same state. */
export interface SizeRow {
  readonly bytes: number;
  readonly host: number;
  readonly image: number;
  /** Image to host. */
  readonly ratio: number;
  /** What state that was: nanoseconds from one processor to the other, 0 for two nodes. */
  readonly handover_ns: number;
  /** Of each round, whatever the state. */
  readonly host_runs: readonly Sample[];
  readonly image_runs: readonly Sample[];
}

export interface MpiRow {
  readonly case: string;
  readonly library: string;
  /** Geometric means over the sizes that can be compared: above 1 the image is slower, or faster. */
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

type Best = (...values: number[]) => number;

const sizeRows = (pairs: readonly Pair[], best: Best, of: (run: PingPong) => BySize): SizeRow[] => {
  const [first] = pairs;
  const sizes = first === undefined ? [] : [...of(first.host).keys()];
  return sizes.flatMap((bytes) => {
    const samples = (whose: keyof Pair) => pairs.flatMap((pair) => of(pair[whose]).get(bytes) ?? []);
    const [host_runs, image_runs] = [samples('host'), samples('image')];
    const compared = comparable(host_runs, image_runs);
    if (compared === undefined) return [];
    const [host, image] = [best(...compared.host), best(...compared.image)];
    const ratio = rounded(image / host, 3);
    return [{ bytes, host, image, ratio, handover_ns: compared.handover, host_runs, image_runs }];
  });
};

export const mpiRow = (name: string, pairs: readonly Pair[]): MpiRow => {
  const latency = sizeRows(pairs, Math.min, (run) => run.latency);
  const bandwidth = sizeRows(pairs, Math.max, (run) => run.bandwidth);
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
  const ratio = (value: number) => (Number.isNaN(value) ? '-' : value.toFixed(3));
  return [
    row.case,
    at(row.latency_us, 8, 'us', 2),
    at(row.latency_us, 8192, 'us', 2),
    ratio(row.latency_ratio),
    at(row.bandwidth_mb_s, 65_536, 'MB/s', 0),
    at(row.bandwidth_mb_s, 4_194_304, 'MB/s', 0),
    ratio(row.bandwidth_ratio),
    `${row.image_copies} (${row.host_copies})`,
  ];
};

export const mpiTable = (rows: readonly MpiRow[]): string[] => table([head, ...rows.map(cells)]);
