import type { BlobStore } from './blob-store.js';
import type { Catalog, KnownImage } from './catalog.js';

export interface Choice {
  /** Canonical references; undefined for all. */
  only: ReadonlySet<string> | undefined;
  /** Only what was not used since then, in milliseconds since 1970-01-01 UTC. */
  unusedSinceMs: number;
}

export function choose(images: readonly KnownImage[], { only, unusedSinceMs }: Choice): KnownImage[] {
  return images.filter(
    ({ canonical, usedAtMs }) => (only?.has(canonical) ?? true) && usedAtMs <= unusedSinceMs,
  );
}

/** Forgets images, and removes the blobs that no image of any user needs any more; says how many. */
export async function forget(
  images: readonly KnownImage[],
  catalog: Catalog,
  store: Pick<BlobStore, 'removeAllBut'>,
  dryRun: boolean,
): Promise<{ blobs: number; bytes: number }> {
  const keyOf = ({ uid, canonical }: KnownImage): string => `${uid} ${canonical}`;
  const leaving = new Set(images.map(keyOf));
  const staying = catalog.list().filter((image) => !leaving.has(keyOf(image)));
  const keep = new Set(staying.flatMap(({ digest, blobs }) => [digest, ...blobs.map((blob) => blob.digest)]));
  if (!dryRun) for (const { uid, canonical } of images) catalog.forget(uid, canonical);
  return store.removeAllBut(keep, dryRun);
}
