import { StowageError } from '../error.js';
import { largestDocumentBytes } from '../image/json-document.js';
import type { Descriptor } from '../image/manifest.js';
import { indexTypes, manifestTypes } from '../image/media-types.js';
import type { Reference } from '../image/reference.js';
import type { RegistrySession, Waiting } from '../registry/session.js';
import type { Transfers } from '../registry/transfers.js';
import type { BlobRequest, BlobSource, BlobStore } from './blob-store.js';
import { downloadLayers, type LayerProgress } from './download-layers.js';
import type { Resolution } from './resolutions.js';

/** What one caller may see of registries, how it comes, and where it is kept. */
export interface Supply {
  session: RegistrySession;
  transfers: Transfers;
  store: BlobStore;
  uid: number;
}

/** What the caller of a reference may read of the store goes by this; decision 0011. */
export function scopeOf({ registry, repository }: Reference): string {
  return `${registry}/${repository}`;
}

/** What the registry says now that the reference stands for; the manifest or index is in the store then. */
export async function resolveReference(
  { session, store }: Supply,
  reference: Reference,
  waiting: Waiting,
): Promise<Resolution> {
  // A manifest that is here already needs no more than the word of the registry that it is the one; but that
  // counts only for what it has sent before, or a digest alone would open what others have downloaded.
  const digest = await session.headManifest(reference, waiting);
  if (digest !== undefined && (await store.isReadable(digest, scopeOf(reference))))
    return { digest, mediaType: undefined };
  const manifest = await session.manifest(reference, waiting);
  await store.put(manifest.digest, scopeOf(reference), manifest.bytes);
  return { digest: manifest.digest, mediaType: manifest.contentType };
}

/** A manifest, index or configuration: from the store, or from the registry by way of the store. */
export async function fetchDocument(
  supply: Supply,
  reference: Reference,
  digest: string,
  descriptor: Descriptor | undefined,
  waiting: Waiting,
): Promise<Uint8Array> {
  const { session, store } = supply;
  const scope = scopeOf(reference);
  const size = descriptor?.size ?? 0;
  if (size > largestDocumentBytes) {
    throw malformed(
      reference,
      `has a document of ${size} bytes (${digest}), and ${largestDocumentBytes} are the most`,
    );
  }
  const release = store.pin([digest]);
  try {
    if (
      descriptor &&
      !indexTypes.includes(descriptor.mediaType) &&
      !manifestTypes.includes(descriptor.mediaType)
    ) {
      await store.ensure({ digest, size, scope }, sourceOf(supply, reference, descriptor), {
        signal: waiting.signal,
        onEvent: (event) => 'waiting' in event && waiting.onWait(event.waiting),
      });
    } else if (!(await store.isReadable(digest, scope))) {
      const { bytes } = await session.manifest(reference, waiting, digest);
      await store.put(digest, scope, bytes);
    }
    const bytes = await store.read(digest, scope, largestDocumentBytes);
    if (!bytes || (descriptor && bytes.length !== size)) {
      throw malformed(reference, `refers to ${digest} with a size that is not its own`);
    }
    return bytes;
  } finally {
    release();
  }
}

/** What the store knows the layers of an image by. */
export function layerBlobs(layers: readonly Descriptor[], reference: Reference): BlobRequest[] {
  const scope = scopeOf(reference);
  return layers.map(({ digest, size }) => ({ digest, size, scope }));
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
  supply: Supply,
  reference: Reference,
  layers: readonly Descriptor[],
  options: { parallel: number; onProgress: (progress: LayerProgress) => void; signal: AbortSignal },
): Promise<LayerDownload> {
  const { store } = supply;
  // What one layer needs must not be taken from another one of the same image.
  const release = store.pin(layers.map(({ digest }) => digest));
  const forget = await store.expect(layerBlobs(layers, reference)).catch((error: unknown) => {
    release();
    throw error;
  });
  const done = downloadLayers(store, layers, {
    ...options,
    scope: scopeOf(reference),
    source: (layer) => sourceOf(supply, reference, layer),
  }).finally(async () => {
    release();
    await forget?.();
  });
  // Whoever asked for it may have failed before, and so not wait for it.
  done.catch(() => undefined);
  return { isGrowing: forget !== undefined, done };
}

/** Its signal is the download's, not the request's: whoever asked first may leave while others still wait. */
function sourceOf(
  { session, transfers, uid }: Supply,
  reference: Reference,
  descriptor: Descriptor,
): BlobSource {
  return {
    bytes: (signal, onWait) => transfers.bytes(session, uid, reference, descriptor, { signal, onWait }),
    probe: (signal, onWait) => transfers.probe(session, uid, reference, descriptor, { signal, onWait }),
    distrust: () => session.distrust(descriptor.digest),
  };
}

function malformed({ canonical }: Reference, problem: string): StowageError {
  return new StowageError(
    'image-malformed',
    `image ${canonical} ${problem}; ask whoever built it to build it again`,
  );
}
