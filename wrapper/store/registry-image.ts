import { StowageError } from '../error.js';
import { largestDocumentBytes } from '../image/json-document.js';
import type { Descriptor } from '../image/manifest.js';
import { indexTypes, manifestTypes } from '../image/media-types.js';
import type { Reference } from '../image/reference.js';
import type { RegistryClient, Waiting } from '../registry/client.js';
import type { BlobStore, Fetch } from './blob-store.js';
import type { Resolution } from './resolutions.js';

/** A registry, and where what it sends is kept. */
export interface Supply {
  registry: RegistryClient;
  store: BlobStore;
}

/** What the registry says now that the reference stands for; the manifest or index is in the store then. */
export async function resolveReference(
  { registry, store }: Supply,
  reference: Reference,
  waiting: Waiting,
): Promise<Resolution> {
  // A manifest that is here already needs no more than the word of the registry that it is the one.
  const digest = await registry.headManifest(reference, waiting);
  if (digest !== undefined && (await store.sizeOf(digest)) !== undefined)
    return { digest, mediaType: undefined };
  const manifest = await registry.manifest(reference, waiting);
  await store.put(manifest.digest, manifest.bytes);
  return { digest: manifest.digest, mediaType: manifest.contentType };
}

/** A manifest, index or configuration: from the store, or from the registry by way of the store. */
export async function fetchDocument(
  { registry, store }: Supply,
  reference: Reference,
  digest: string,
  descriptor: Descriptor | undefined,
  waiting: Waiting,
): Promise<Uint8Array> {
  const size = descriptor?.size ?? 0;
  if (size > largestDocumentBytes) {
    throw malformed(
      reference,
      `has a document of ${size} bytes (${digest}), and ${largestDocumentBytes} are the most`,
    );
  }
  if (
    descriptor &&
    !indexTypes.includes(descriptor.mediaType) &&
    !manifestTypes.includes(descriptor.mediaType)
  ) {
    const { registry: origin } = reference;
    await store.ensure({ digest, size, origin }, layerFetch(registry, reference, descriptor), {
      signal: waiting.signal,
      onEvent: (event) => 'waiting' in event && waiting.onWait(event.waiting),
    });
  } else if ((await store.sizeOf(digest)) === undefined) {
    const { bytes } = await registry.manifest(reference, waiting, digest);
    await store.put(digest, bytes);
  }
  const bytes = await store.read(digest, largestDocumentBytes);
  if (!bytes || (descriptor && bytes.length !== size)) {
    throw malformed(reference, `refers to ${digest} with a size that is not its own`);
  }
  return bytes;
}

/** Bound to the download, not to the request: whoever asked first may leave while others still wait. */
export function layerFetch(registry: RegistryClient, reference: Reference, descriptor: Descriptor): Fetch {
  return (signal, onWait) => registry.blob(reference, descriptor, { signal, onWait });
}

function malformed({ canonical }: Reference, problem: string): StowageError {
  return new StowageError(
    'image-malformed',
    `image ${canonical} ${problem}; ask whoever built it to push it again`,
  );
}
