import { decompressors, runTimed, script, type Command } from './command.js';
import type { BenchImage, BenchImages } from './image/bench-image.js';
import type { Fetch } from './registry.js';
import { parseUsage, withUnpacker, withUsage, type Usage } from './stowage-unpack.js';
import { freshDirectory } from './tree.js';

export interface Place {
  readonly images: BenchImages;
  /** Where the ordinary user sees the layout of the images. */
  readonly layout: string;
  /** The uncompressed layers of an image, lowest first. */
  readonly tars: (image: BenchImage) => readonly string[];
  /** On a tmpfs; each run makes it anew. */
  readonly tree: string;
  readonly unpacker: string;
  readonly fetch: Fetch;
}

export interface Outcome {
  readonly seconds: number;
  readonly usage?: Usage;
}

export interface Contender {
  /** As in the JSON: `gzip_tar`. */
  readonly key: string;
  /** The head of its column. */
  readonly title: string;
  /** At most so many runs: some take their time. */
  readonly runs: number;
  readonly takes: (image: BenchImage) => boolean;
  /** Where it leaves the tree; nowhere if it makes none. */
  readonly root: ((place: Place) => string) | undefined;
  readonly run: (image: BenchImage, place: Place, signal: AbortSignal) => Promise<Outcome>;
}

const all = Infinity;
const always = () => true;
const inTree = ({ tree }: Place) => tree;
const blobs = (image: BenchImage, { layout }: Place) => image.layers.map(({ path }) => `${layout}/${path}`);

const timed =
  (command: (image: BenchImage, place: Place) => Command): Contender['run'] =>
  async (image, place, signal) => ({ seconds: (await runTimed(command(image, place), signal)).seconds });

const stowage: Contender['run'] = async (image, place, signal) => {
  const { seconds, stderr } = await withUnpacker(
    place.unpacker,
    image.layers,
    place.layout,
    freshDirectory(place.tree),
    (command) => runTimed(withUsage(command), signal),
  );
  return { seconds, usage: parseUsage(stderr) };
};

/** Unpacks one layer after the other by `pipeline`, which finds the layer in $layer and the tree in $tree. */
const eachLayer = (pipeline: string, layers: readonly string[], tree: string): Command =>
  script(`tree=$1; shift; for layer; do ${pipeline}; done`, tree, ...layers);

const packedTar = (compression: 'gzip' | 'zstd', runs: number): Contender => ({
  key: `${compression}_tar`,
  title: `${compression} -dc | tar x`,
  runs,
  takes: (image) => image.compression === compression,
  root: inTree,
  run: timed((image, place) =>
    eachLayer(
      `${compression} -dc "$layer" | tar -xf - -C "$tree"`,
      blobs(image, place),
      freshDirectory(place.tree),
    ),
  ),
});

export const contenders: readonly Contender[] = [
  { key: 'stowage', title: 'stowage', runs: all, takes: always, root: inTree, run: stowage },
  {
    key: 'registry',
    title: 'stowage from a registry',
    runs: all,
    takes: always,
    root: ({ tree }) => `${tree}/image`,
    run: timed((image, { fetch, tree }) => fetch(image, tree)),
  },
  {
    key: 'floor',
    title: 'floor',
    runs: all,
    takes: always,
    root: undefined,
    run: timed((image, place) =>
      eachLayer(`${decompressors[image.compression]} -dc "$layer"`, blobs(image, place), ''),
    ),
  },
  {
    key: 'tar',
    title: 'tar x',
    runs: all,
    takes: always,
    root: inTree,
    run: timed((image, place) =>
      eachLayer('tar -xf "$layer" -C "$tree"', place.tars(image), freshDirectory(place.tree)),
    ),
  },
  packedTar('gzip', 3),
  packedTar('zstd', all),
  {
    key: 'bsdtar',
    title: 'bsdtar',
    runs: 3,
    takes: always,
    root: inTree,
    run: timed((image, place) =>
      eachLayer('bsdtar -xf "$layer" -C "$tree"', blobs(image, place), freshDirectory(place.tree)),
    ),
  },
  {
    key: 'umoci',
    title: 'umoci',
    runs: 1,
    // It knows no zstd.
    takes: ({ compression }) => compression === 'gzip',
    root: ({ tree }) => `${tree}/bundle/rootfs`,
    run: timed((image, { layout, tree }) => ({
      argv: [
        'umoci',
        'unpack',
        '--rootless',
        '--image',
        `${layout}:${image.tag}`,
        `${freshDirectory(tree)}/bundle`,
      ],
      env: { HOME: tree },
    })),
  },
];

/** Whether a contender of that many runs has one in this round, counted from 0; its runs are spread out. */
export const hasRun = (runs: number, round: number, rounds: number): boolean => {
  const due = (count: number) => Math.floor((count * Math.min(runs, rounds)) / rounds);
  return due(round + 1) > due(round);
};
