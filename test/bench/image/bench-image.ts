import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compress, compressions, type Compression } from './compress.js';
import { LayoutWriter, type BenchLayer } from './layout.js';
import { planImage, type ImageSize, type PlannedEntry } from './plan.js';
import { layerEntries, tarStream } from './tar-stream.js';
import { makeZerosLayer } from './zeros.js';

/** One image in one compression. */
export interface BenchImage {
  /** As people read it: `gzip, 12 layers`. */
  readonly name: string;
  /** In the layout: `gzip-12`. */
  readonly tag: string;
  readonly compression: Compression;
  readonly layers: readonly BenchLayer[];
}

export interface BenchImages {
  /** An OCI layout. */
  readonly directory: string;
  readonly images: readonly BenchImage[];
  readonly zeros: BenchLayer;
  /** What each image unpacks to: entries of every type, and the lengths of all files by name. */
  readonly entries: number;
  readonly bytes: number;
}

type Made = Omit<BenchImages, 'directory'>;

const size: ImageSize = { entries: 50_000, bytes: 1_400_000_000, layers: 12 };
const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch;

/** What the plan unpacks to. */
export const contentOf = (plan: readonly PlannedEntry[]): { entries: number; bytes: number } => {
  const sizes = new Map(plan.map((entry) => [entry.path, entry.type === 'file' ? entry.size : 0]));
  const bytesOf = (entry: PlannedEntry) =>
    sizes.get(entry.type === 'hard link' ? entry.target : entry.path) ?? 0;
  return { entries: plan.length, bytes: plan.reduce((total, entry) => total + bytesOf(entry), 0) };
};

const makeLayers = async (
  contents: readonly PlannedEntry[][],
  directory: string,
  layout: LayoutWriter,
  signal: AbortSignal,
): Promise<BenchImage[]> => {
  const layers = new Map(compressions.map((kind): [Compression, BenchLayer[]] => [kind, []]));
  for (const [index, content] of contents.entries()) {
    const file = `${directory}/${contents.length}-${index}`;
    const diffId = await compress(tarStream(content), file, signal);
    for (const kind of compressions)
      layers.get(kind)?.push(await layout.addLayer(`${file}.${kind}`, kind, diffId));
  }
  const count = contents.length === 1 ? '1 layer' : `${contents.length} layers`;
  return [...layers].map(([compression, made]) => ({
    name: `${compression}, ${count}`,
    tag: `${compression}-${contents.length}`,
    compression,
    layers: made,
  }));
};

const make = async (directory: string, signal: AbortSignal): Promise<void> => {
  const plan = planImage(size);
  const several = Array.from({ length: size.layers }, (_, layer) => layerEntries(plan, layer));
  const layout = new LayoutWriter(directory);
  // At once: a compressor keeps one processor busy.
  const [one, twelve] = await Promise.all([
    makeLayers([plan], directory, layout, signal),
    makeLayers(several, directory, layout, signal),
  ]);
  const images = [...one, ...twelve].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { tag, layers } of images) layout.addImage(tag, layers, architecture);
  layout.finish();
  const made: Made = { images, zeros: await makeZerosLayer(directory), ...contentOf(plan) };
  writeFileSync(`${directory}/made.json`, JSON.stringify(made));
};

/** Names what the generator makes: other code, another image. */
const generatorHash = (): string => {
  const own = fileURLToPath(new URL('.', import.meta.url));
  const hash = createHash('sha256').update(JSON.stringify(size));
  const sources = readdirSync(own).filter((name) => name.endsWith('.js'));
  for (const name of sources.sort()) hash.update(readFileSync(`${own}/${name}`));
  return hash.digest('hex').slice(0, 16);
};

/**
 * The images from the cache, or made anew, which is then all that the cache holds. `making` is a directory beside
 * where they go, for what is not complete.
 */
export const benchImages = async (
  cache: string,
  making: string,
  signal: AbortSignal,
): Promise<BenchImages> => {
  const name = `images-${generatorHash()}`;
  const directory = `${cache}/${name}`;
  if (!existsSync(directory)) {
    mkdirSync(making, { recursive: true });
    await make(making, signal);
    // An ordinary user reads it.
    chmodSync(making, 0o755);
    for (const old of readdirSync(cache).filter((entry) => entry.startsWith('images-')))
      rmSync(`${cache}/${old}`, { recursive: true });
    renameSync(making, directory);
  }
  const made = JSON.parse(readFileSync(`${directory}/made.json`, 'utf8')) as Made;
  return { directory, ...made };
};
