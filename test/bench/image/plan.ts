import { basename } from 'node:path';
import type { ContentKind } from './content.js';
import { Random } from './random.js';
import { words } from './vocabulary.js';

export interface ImageSize {
  readonly entries: number;
  /** Of all files together; a file with two names counts once. */
  readonly bytes: number;
  readonly layers: number;
}

interface Common {
  readonly path: string;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** Which of the layers it is in, when the image has several. */
  readonly layer: number;
}

export interface FileEntry extends Common {
  readonly type: 'file';
  readonly mode: number;
  readonly size: number;
  readonly kind: ContentKind;
  readonly seed: number;
}

export type PlannedEntry =
  | FileEntry
  | (Common & { readonly type: 'directory' })
  | (Common & { readonly type: 'symlink' | 'hard link'; readonly target: string });

// As in a Debian with compilers: half of the files have less than 2.5 kB, and a few hold most of the bytes.
const share = { directories: 0.08, symlinks: 0.1, hardLinks: 0.002 };
const medianBytes = 2500;
const spread = 2.2;
/** Of all bytes, in the largest files: a compiler, a debugger, libraries. */
const largest = [0.07, 0.045, 0.03, 0.02, 0.02, 0.015, 0.01];
const largestOther = 0.01;
/** Real layers are of all sizes. */
const layerWeights = [18, 1, 25, 6, 2, 14, 4, 12, 1, 9, 5, 3];
const deepest = 8;
/** What a tar header has room for, and the slash of an absolute one. */
const targetBytes = 99;
const released = 1_700_000_000;
const extensions: Record<ContentKind, readonly string[]> = {
  text: ['.h', '.py', '.txt', '.c', '.pm', ''],
  program: ['.so', '.a', '', '.o', '.pyc'],
  packed: ['.gz', '.png', '.xz'],
};

interface Directory {
  readonly path: string;
  readonly depth: number;
  readonly layer: number;
}

const makeDirectories = (count: number, names: readonly string[], layers: number, random: Random) => {
  const directories: Directory[] = [];
  const paths = new Set<string>();
  const layer = () => random.weighted(layerWeights.slice(0, layers));
  for (const path of ['etc', 'usr', 'opt', 'var']) directories.push({ path, depth: 1, layer: 0 });
  while (directories.length < count) {
    const parent = directories[random.below(directories.length)];
    if (parent === undefined || parent.depth === deepest) continue;
    const path = `${parent.path}/${names[random.below(names.length)] ?? ''}`;
    if (paths.has(path)) continue;
    paths.add(path);
    directories.push({ path, depth: parent.depth + 1, layer: random.below(3) > 0 ? parent.layer : layer() });
  }
  return directories;
};

/** Sizes as they are distributed in a real image, scaled so that they add up to `bytes`. */
const fileSizes = (count: number, bytes: number, random: Random): number[] => {
  const few = largest.map((fraction) => Math.floor(fraction * bytes));
  const rest = bytes - few.reduce((total, size) => total + size, 0);
  const many = Array.from({ length: count - few.length }, () =>
    Math.min(medianBytes * Math.exp(spread * random.normal()), largestOther * bytes),
  );
  const factor = rest / many.reduce((total, size) => total + size, 0);
  const scaled = many.map((size) => Math.floor(size * factor));
  const missing = rest - scaled.reduce((total, size) => total + size, 0);
  scaled[0] = (scaled[0] ?? 0) + missing;
  for (const size of few) scaled.splice(random.below(scaled.length), 0, size);
  return scaled;
};

const kindOf = (size: number, random: Random): ContentKind => {
  if (random.below(100) < 5) return 'packed';
  const programs = size > 1 << 20 ? 92 : size > 32 << 10 ? 60 : 12;
  return random.below(100) < programs ? 'program' : 'text';
};

const byPath = (a: { path: string }, b: { path: string }): number => (a.path < b.path ? -1 : 1);

/** All entries, each directory before what it holds; the same list for the same size on every machine. */
export const planImage = ({ entries, bytes, layers }: ImageSize): PlannedEntry[] => {
  const random = new Random(20260101);
  const names = words(3000, random);
  const name = () => names[random.below(names.length)] ?? '';
  const mtime = () => released - random.below(50_000_000);
  const directories = makeDirectories(Math.round(entries * share.directories), names, layers, random);
  // Some directories hold a thousand files, most hold a handful.
  const somewhere = () =>
    directories[Math.floor(directories.length * random.fraction() ** 2)] ?? ({} as Directory);
  const symlinks = Math.round(entries * share.symlinks);
  const hardLinks = Math.round(entries * share.hardLinks);
  const fileCount = entries - directories.length - symlinks - hardLinks;

  const files = fileSizes(fileCount, bytes, random).map((size, index): FileEntry => {
    const directory = somewhere();
    const kind = kindOf(size, random);
    const extension = extensions[kind][random.below(extensions[kind].length)] ?? '';
    return {
      type: 'file',
      path: `${directory.path}/${name()}-${index.toString(36)}${extension}`,
      mode: kind === 'program' ? 0o755 : 0o644,
      mtime: mtime(),
      layer: directory.layer,
      size,
      kind,
      seed: index,
    };
  });
  const targets = files.filter(({ path }) => path.length <= targetBytes);
  const links = Array.from({ length: symlinks + hardLinks }, (_, index): PlannedEntry => {
    const { path, layer } = targets[random.below(targets.length)] ?? ({} as FileEntry);
    const common = { path: `${path}~${index.toString(36)}`, layer, mtime: mtime() };
    // The suffix sorts it behind its target.
    if (index < hardLinks) return { ...common, type: 'hard link', target: path };
    return { ...common, type: 'symlink', target: index % 3 === 0 ? `/${path}` : basename(path) };
  });
  const made = directories.map(({ path, layer }): PlannedEntry => ({
    type: 'directory',
    path,
    layer,
    mtime: mtime(),
  }));
  return [...made, ...files, ...links].sort(byPath);
};
