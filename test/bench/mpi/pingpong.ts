import { sample, type Sample } from './samples.js';

/** By the bytes of a message. */
export type BySize = ReadonlyMap<number, Sample>;

/** What one run of pingpong.c printed. */
export interface PingPong {
  /** Of each rank, in no order: whose library, from which file, in which user namespace, and of which image. */
  readonly ranks: readonly Readonly<Record<'library' | 'path' | 'user_namespace' | 'image', string>>[];
  /** Microseconds, half of a round trip. */
  readonly latency: BySize;
  /** 10^6 bytes per second. */
  readonly bandwidth: BySize;
  /** Calls of process_vm_readv by the library, the bytes they got, and how many failed. */
  readonly copies: { readonly reads: number; readonly bytes: number; readonly failed: number };
}

const setting = /^setting library=(\S+) path=(\S+) user_namespace=(\S+) image=(\S+)$/gm;

const bySize = (output: string, what: string): BySize => {
  const found = output.matchAll(new RegExp(`^${what} (\\d+) ([\\d.]+) ([\\d.]+) ([\\d.]+)$`, 'gm'));
  return new Map(
    [...found].map(([, ...fields]) => {
      const [bytes = 0, value = 0, before = 0, after = 0] = fields.map(Number);
      return [bytes, sample(value, before, after)];
    }),
  );
};

export const parsePingPong = (output: string): PingPong => {
  const ranks = [...output.matchAll(setting)].map(
    ([, library = '', path = '', user_namespace = '', image = '']) => ({
      ...{ library, path, user_namespace, image },
    }),
  );
  const copies = /^copies (\d+) (\d+) (\d+)$/m.exec(output);
  const [latency, bandwidth] = [bySize(output, 'latency'), bySize(output, 'bandwidth')];
  if (ranks.length !== 2 || copies === null || latency.size === 0 || bandwidth.size !== latency.size)
    throw new Error(`this is not what two ranks of pingpong print:\n${output}`);
  const [reads = 0, bytes = 0, failed = 0] = copies.slice(1).map(Number);
  return { ranks, latency, bandwidth, copies: { reads, bytes, failed } };
};
