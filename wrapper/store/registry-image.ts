import { StowageError } from '../error.js';
import { largestDocumentBytes } from '../image/json-document.js';
import type { Descriptor } from '../image/manifest.js';
import { indexTypes, manifestTypes } from '../image/media-types.js';
import type { Reference } from '../image/reference.js';
import type { RegistryClient, Waiting } from '../registry/client.js';
import type { BlobRequest, BlobStore, Fetch } from './blob-store.js';
import { downloadLayers, type LayerProgress } from './download-layers.js';
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

/** What the store knows the layers of an image by. */
export function layerBlobs(layers: readonly Descriptor[], { registry: origin }: Reference): BlobRequest[] {
  return layers.map(({ digest, size }) => ({ digest, size, origin }));
}

/** Layers on their way into the store. */
export interface LayerDownload {
  /** Whether all of them can be read with openGrowing until `done` has settled. */
  isGrowing: boolean;
  /** The bytes that had to come from the registry, once all layers are in the store. */
  done: Promise<number>;
}

/** Begins to download the layers that are not in the store; how many at once see DownloadOptions. */
export async function beginDownload(
  { registry, store }: Supply,
  reference: Reference,
  layers: readonly Descriptor[],
  options: { parallel: number; onProgress: (progress: LayerProgress) => void; signal: AbortSignal },
): Promise<LayerDownload> {
  const forget = await store.expect(layerBlobs(layers, reference));
  const done = downloadLayers(store, layers, {
    ...options,
    origin: reference.registry,
    fetch: (layer) => layerFetch(registry, reference, layer),
  }).finally(() => forget?.());
  // Whoever asked for it may have failed before, and so not wait for it.
  done.catch(() => undefined);
  return { isGrowing: forget !== undefined, done };
}

/** Bound to the download, not to the request: whoever asked first may leave while others still wait. */
function layerFetch(registry: RegistryClient, reference: Reference, descriptor: Descriptor): Fetch {
  return (signal, onWait) => registry.blob(reference, descriptor, { signal, onWait });
}

function malformed({ canonical }: Reference, problem: string): StowageError {
  return new StowageError(
    'image-malformed',
    `image ${canonical} ${problem}; ask whoever built it to build it again`,
  );
}
