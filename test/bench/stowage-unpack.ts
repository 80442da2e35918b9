import { closeSync, constants, openSync } from 'node:fs';
import type { Command } from './command.js';
import type { BenchLayer } from './image/layout.js';

// As in stowaged's configuration when it says nothing else.
const maxBytes = 64 * 1024 ** 3;
const maxInodes = 4_000_000;
const firstLayer = 5;

/**
 * The unpacker as stowage-enter calls it: confined, descriptors instead of paths, digests and diff_ids verified.
 * `use` must have started it when it returns; the descriptors are closed then.
 */
export const withUnpacker = <T>(
  program: string,
  layers: readonly BenchLayer[],
  layout: string,
  tree: string,
  use: (command: Command & { readonly descriptors: readonly number[] }) => T,
): T => {
  const opened: number[] = [];
  const open = (path: string, flags: number): number => {
    const fd = openSync(path, flags);
    opened.push(fd);
    return fd;
  };
  try {
    const progress = open('/dev/null', constants.O_WRONLY);
    const root = open(tree, constants.O_RDONLY | constants.O_DIRECTORY);
    const blobs = layers.map(({ path }) => open(`${layout}/${path}`, constants.O_RDONLY));
    const described = layers.flatMap(({ size, digest, diffId }, index) => [
      '--layer',
      `${firstLayer + index}:${size}:${digest}:${diffId}`,
    ]);
    return use({
      argv: [
        program,
        ...['--root-fd', '4', '--max-bytes', String(maxBytes), '--max-inodes', String(maxInodes)],
        ...['--progress-fd', '3', ...described],
      ],
      descriptors: [progress, root, ...blobs],
    });
  } finally {
    opened.forEach((fd) => closeSync(fd));
  }
};

/** What a run of the unpacker needed. */
export interface Usage {
  /** Of memory, at its peak; pages of the tree are not the unpacker's own. */
  readonly peakBytes: number;
  /** On all processors together. */
  readonly cpuSeconds: number;
}

const usageLine = /^used (\d+) ([\d.]+) ([\d.]+)$/m;

/** Has GNU time look; it sees the confined child as well, and of the memory whichever of the two needs more. */
export const withUsage = (command: Command): Command => ({
  ...command,
  argv: ['/usr/bin/time', '--format=used %M %U %S', ...command.argv],
});

/** Reads what GNU time printed. */
export const parseUsage = (stderr: string): Usage => {
  const [, kibibytes, user, system] = usageLine.exec(stderr) ?? [];
  if (kibibytes === undefined) throw new Error(`GNU time did not say what was used: ${stderr}`);
  return { peakBytes: Number(kibibytes) * 1024, cpuSeconds: Number(user) + Number(system) };
};
