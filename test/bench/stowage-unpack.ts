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

const peakLine = /^peak (\d+)$/m;

/** Counts the memory of the unpacker; GNU time sees the confined child as well, whichever of them needs more. */
export const withPeakMemory = (command: Command): Command => ({
  ...command,
  argv: ['/usr/bin/time', '--format=peak %M', ...command.argv],
});

/** Bytes, from what GNU time printed. */
export const peakMemory = (stderr: string): number => {
  const [, kibibytes] = peakLine.exec(stderr) ?? [];
  if (kibibytes === undefined) throw new Error(`GNU time did not say how much memory was used: ${stderr}`);
  return Number(kibibytes) * 1024;
};
