import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { reachable } from '../support/reachable.js';
import { decompressors, runTimed, script } from './command.js';
import type { Place } from './contenders.js';
import type { BenchImage, BenchImages } from './image/bench-image.js';
import { prepareRegistry } from './registry.js';

const tarPath = (directory: string, image: BenchImage, index: number): string =>
  `${directory}/${image.layers.length}-${index}.tar`;

/**
 * Prepares `scratch`, which everybody may enter: a tmpfs with the uncompressed layers and room for trees, and the
 * images where an ordinary user reaches them, also in a registry. All of it is gone with the mount namespace of this process.
 */
export const preparePlace = async (
  scratch: string,
  images: BenchImages,
  signal: AbortSignal,
): Promise<Place> => {
  const memory = `${scratch}/memory`;
  const layout = `${scratch}/images`;
  const tars = `${memory}/tars`;
  chmodSync(scratch, 0o755);
  for (const directory of [memory, layout]) mkdirSync(directory);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=95%,nr_inodes=1m,mode=0755', 'bench', memory]);
  execFileSync('mount', ['--bind', images.directory, layout]);
  mkdirSync(tars);
  // The streams in gzip and zstd are the same.
  for (const image of new Map(images.images.map((each) => [each.layers.length, each])).values()) {
    for (const [index, { path }] of image.layers.entries()) {
      const decompress = `${decompressors[image.compression]} -dc "$1" > "$2"`;
      const command = script(decompress, `${layout}/${path}`, tarPath(tars, image, index));
      await runTimed({ ...command, asRoot: true }, signal);
    }
  }
  return {
    images,
    layout,
    tars: (image) => image.layers.map((_, index) => tarPath(tars, image, index)),
    tree: `${memory}/tree`,
    fetch: await prepareRegistry(scratch, images, signal),
    unpacker: reachable(resolve('build/libexec/stowage-unpack')),
  };
};
