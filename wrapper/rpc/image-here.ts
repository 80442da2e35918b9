import { type Image, readImage } from '../image/image.js';
import { largestDocumentBytes } from '../image/json-document.js';
import type { Reference } from '../image/reference.js';
import { scopeOf } from '../store/registry-image.js';
import type { Resolution } from '../store/resolutions.js';
import type { Workshop } from './workshop.js';

const mostImagesInMemory = 500;
/** Of the documents that the images in memory were made from, which have up to 8 MiB each; all, and one image's. */
const mostDocumentBytes = 8 * 1024 * 1024;
const largestImageBytes = 512 * 1024;

/**
 * The image for this node, if that can be told from what is here and was delivered from the reference's own
 * repository. Throws what is wrong with the image.
 */
export async function readHere(
  { images, store, node }: Workshop,
  reference: Reference,
  { digest, mediaType }: Resolution,
): Promise<Image | undefined> {
  const known = images.get(keyOf(reference, digest));
  if (known) return known;
  const source = async (wanted: string): Promise<Uint8Array> => {
    const bytes = await store.read(wanted, scopeOf(reference), largestDocumentBytes);
    if (!bytes) throw new NotHere();
    return bytes;
  };
  try {
    const image = await readImage(digest, mediaType, source, node, reference.canonical);
    keepInMemory(images, reference, digest, image);
    return image;
  } catch (error) {
    if (error instanceof NotHere) return undefined;
    throw error;
  }
}

/** By repository too: who may see an image in one may not know of the other. */
export function keepInMemory(
  images: Workshop['images'],
  reference: Reference,
  digest: string,
  image: Image,
): void {
  const bytes = documentBytes(image);
  if (bytes > largestImageBytes) return;
  images.set(keyOf(reference, digest), image);
  let sum = 0;
  for (const known of images.values()) sum += documentBytes(known);
  for (const [key, known] of images) {
    if (images.size <= mostImagesInMemory && sum <= mostDocumentBytes) return;
    images.delete(key);
    sum -= documentBytes(known);
  }
}

function documentBytes({ documents = [] }: Image): number {
  return documents.reduce((sum, { size }) => sum + size, 0);
}

/** Whether nothing of the image has to come from a registry: the caller has its tree, or its layers are here. */
export async function isHere(
  { store }: Workshop,
  reference: Reference,
  image: Image,
  unpackedDigests: readonly string[] = [],
): Promise<boolean> {
  if (unpackedDigests.includes(image.digest)) return true;
  const scope = scopeOf(reference);
  for (const { digest } of image.layers) if (!(await store.isReadable(digest, scope))) return false;
  return true;
}

function keyOf(reference: Reference, digest: string): string {
  return `${scopeOf(reference)} ${digest}`;
}

class NotHere extends Error {}
