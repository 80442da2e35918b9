import type { BlobStore } from './blob-store.js';
import type { KnownImage } from './catalog.js';

/** How many bytes of the layers of each image are in the store. */
export async function presentBytes(
  images: readonly KnownImage[],
  store: Pick<BlobStore, 'sizeOf'>,
): Promise<number[]> {
  const sizes = new Map<string, number>();
  const sums: number[] = [];
  for (const { blobs, layerCount } of images) {
    let sum = 0;
    for (const { digest } of blobs.slice(0, layerCount)) {
      const size = sizes.get(digest) ?? (await store.sizeOf(digest)) ?? 0;
      sizes.set(digest, size);
      sum += size;
    }
    sums.push(sum);
  }
  return sums;
}
