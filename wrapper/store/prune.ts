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

/** Which blobs go with the images that are forgotten. */
export type Extent =
  /** Those that no image of any user needs any more. */
  | 'unneeded'
  /** Of those, the ones that the forgotten images had: what else is there is not for every user to remove. */
  | 'own';

/** Forgets images, and removes blobs that no other image needs; says how many. */
export async function forget(
  images: readonly KnownImage[],
  catalog: Catalog,
  store: Pick<BlobStore, 'removeAllBut'>,
  extent: Extent,
  dryRun: boolean,
): Promise<{ blobs: number; bytes: number }> {
  const keyOf = ({ uid, canonical }: KnownImage): string => `${uid} ${canonical}`;
  const leaving = new Set(images.map(keyOf));
  const needed = digestsOf(catalog.list().filter((image) => !leaving.has(keyOf(image))));
  const own = digestsOf(images);
  const keep = {
    has: (digest: string): boolean => needed.has(digest) || (extent === 'own' && !own.has(digest)),
  };
  if (!dryRun) for (const { uid, canonical } of images) catalog.forget(uid, canonical);
  return store.removeAllBut(keep, dryRun);
}

function digestsOf(images: readonly KnownImage[]): Set<string> {
  return new Set(images.flatMap(({ digest, blobs }) => [digest, ...blobs.map((blob) => blob.digest)]));
}
