import { dirname } from 'node:path';
import { archive, header, type HeaderFields } from '../../support/tar-writer.js';
import { fillContent } from './content.js';
import type { FileEntry, PlannedEntry } from './plan.js';
import { Random } from './random.js';

const chunkBytes = 1 << 20;
const blockBytes = 512;
const nameBytes = 100;

/** A path over 100 bytes goes into two fields, as ustar has it. */
const nameFields = (path: string): HeaderFields => {
  if (path.length <= nameBytes) return { name: path };
  const slash = path.indexOf('/', path.length - nameBytes - 1);
  return { prefix: path.slice(0, slash), name: path.slice(slash + 1) };
};

const headerOf = (entry: PlannedEntry): Buffer => {
  const fields = { ...nameFields(entry.path), mtime: entry.mtime };
  switch (entry.type) {
    case 'directory':
      return header({ ...fields, ...nameFields(`${entry.path}/`), type: '5', mode: 0o755 });
    case 'symlink':
      return header({ ...fields, type: '2', linkName: entry.target, mode: 0o777 });
    case 'hard link':
      return header({ ...fields, type: '1', linkName: entry.target });
    case 'file':
      return header({ ...fields, size: entry.size, mode: entry.mode });
  }
};

function* contentOf({ size, kind, seed }: FileEntry): Generator<Buffer> {
  const random = new Random(seed);
  const padded = Math.ceil(size / blockBytes) * blockBytes;
  for (let at = 0; at < padded; at += chunkBytes) {
    const piece = Buffer.alloc(Math.min(chunkBytes, padded - at));
    fillContent(piece.subarray(0, Math.max(0, size - at)), kind, random);
    yield piece;
  }
}

function* pieces(entries: readonly PlannedEntry[]): Generator<Buffer> {
  for (const entry of entries) {
    yield headerOf(entry);
    if (entry.type === 'file') yield* contentOf(entry);
  }
  yield archive();
}

/** The archive, in pieces of about a megabyte. */
export function* tarStream(entries: readonly PlannedEntry[]): Generator<Buffer> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for (const piece of pieces(entries)) {
    waiting.push(piece);
    bytes += piece.length;
    if (bytes < chunkBytes) continue;
    yield Buffer.concat(waiting);
    waiting = [];
    bytes = 0;
  }
  yield Buffer.concat(waiting);
}

/** What one of several layers holds: its own entries, and as in real ones the directories above them. */
export const layerEntries = (plan: readonly PlannedEntry[], layer: number): PlannedEntry[] => {
  const needed = new Set<string>();
  for (const entry of plan) {
    if (entry.layer !== layer) continue;
    for (let path = dirname(entry.path); path !== '.' && !needed.has(path); path = dirname(path))
      needed.add(path);
  }
  return plan.filter((entry) => entry.layer === layer || needed.has(entry.path));
};
