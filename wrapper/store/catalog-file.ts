import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { Ajv, type ValidateFunction } from 'ajv';

import { digestPattern } from '../image/digest.js';

/** One entry of a user's file, as it is written. */
export interface CatalogEntry {
  canonical: string;
  scope: string;
  digest: string;
  mediaType?: string;
  imageDigest: string;
  blobs: { digest: string; size: number }[];
  layerCount: number;
  layerBytes: number;
  resolvedAtMs: number;
  usedAtMs: number;
}

interface CatalogDocument {
  version: 1;
  /** The least recently used first. */
  images: readonly CatalogEntry[];
}

/** More than a user's images can need; what is larger was not written here. */
const largestFileBytes = 64 * 1024 * 1024;

const whole = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const name = { type: 'string', minLength: 1, maxLength: 1000 } as const;
const digest = { type: 'string', pattern: digestPattern } as const;

const documentSchema = {
  type: 'object',
  required: ['version', 'images'],
  properties: {
    version: { const: 1 },
    images: {
      type: 'array',
      items: {
        type: 'object',
        required: [
          ...['canonical', 'scope', 'digest', 'imageDigest', 'blobs', 'layerCount'],
          ...['layerBytes', 'resolvedAtMs', 'usedAtMs'],
        ],
        properties: {
          canonical: name,
          scope: name,
          digest,
          mediaType: name,
          imageDigest: { type: 'string', pattern: `^$|${digestPattern}` },
          blobs: {
            type: 'array',
            items: { type: 'object', required: ['digest', 'size'], properties: { digest, size: whole } },
          },
          layerCount: whole,
          layerBytes: whole,
          resolvedAtMs: whole,
          usedAtMs: whole,
        },
      },
    },
  },
} as const;

let validator: ValidateFunction<CatalogDocument> | undefined;

/** The uids that have a file in the directory. Half-written files of a process that was killed are removed. */
export async function catalogUids(directory: string): Promise<number[]> {
  const uids: number[] = [];
  for (const entry of await readdir(directory)) {
    const uid = /^(0|[1-9]\d{0,9})\.json$/.exec(entry)?.[1];
    if (uid !== undefined) uids.push(Number(uid));
    else if (entry.endsWith('.new')) await rm(join(directory, entry), { force: true });
  }
  return uids;
}

/** What a user's file holds, the least recently used first. Throws if it is not what was written here. */
export async function readCatalogFile(directory: string, uid: number): Promise<readonly CatalogEntry[]> {
  const bytes = await readFile(pathOf(directory, uid));
  if (bytes.length > largestFileBytes) throw new Error(`it has more than ${largestFileBytes} bytes`);
  const document: unknown = JSON.parse(bytes.toString('utf8'));
  const isCatalog = (validator ??= new Ajv().compile<CatalogDocument>(documentSchema));
  if (isCatalog(document)) return document.images;
  const [problem] = isCatalog.errors ?? [];
  throw new Error(`${problem?.instancePath || 'it'} ${problem?.message ?? 'is not valid'}`);
}

/** Keeps a file that cannot be read where it disturbs nobody and can be looked at. */
export async function setAsideCatalogFile(directory: string, uid: number): Promise<void> {
  await rename(pathOf(directory, uid), `${pathOf(directory, uid)}.damaged`);
}

/** Writes a user's file anew, or removes it if there is nothing to write. Readers see the old or the new one. */
export async function writeCatalogFile(
  directory: string,
  uid: number,
  images: readonly CatalogEntry[],
): Promise<void> {
  const path = pathOf(directory, uid);
  if (images.length === 0) return rm(path, { force: true });
  const half = await open(`${path}.new`, 'w', 0o600);
  try {
    await half.writeFile(JSON.stringify({ version: 1, images } satisfies CatalogDocument));
  } finally {
    await half.close();
  }
  // No fsync: who loses this in a crash asks a registry once more.
  await rename(`${path}.new`, path);
}

function pathOf(directory: string, uid: number): string {
  return join(directory, `${uid}.json`);
}
