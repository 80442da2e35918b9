import { type ErrorCode, StowageError } from '../error.js';
import { type Image, readImage } from '../image/image.js';
import { largestDocumentBytes } from '../image/json-document.js';
import type { Descriptor } from '../image/manifest.js';
import { indexTypes, manifestTypes } from '../image/media-types.js';
import type { Reference } from '../image/reference.js';
import { parseSource } from '../image/source.js';
import { type ContainerPlan, planContainer, planLayers } from '../plan/plan.js';
import { admitCaller } from '../policy/caller.js';
import { refuseTooLarge } from '../policy/size.js';
import type { RegistryClient, Waiting } from '../registry/client.js';
import type { BlobRequest, Fetch } from '../store/blob-store.js';
import { downloadLayers } from '../store/download-layers.js';
import type { Asker, Resolution } from '../store/resolutions.js';
import { prepareLocal } from './prepare-local.js';
import { invalidRequest, type PrepareInput } from './request.js';
import type { Request, Workshop } from './workshop.js';

const mostImagesInMemory = 500;

const faultsOfImage: ErrorCode[] = ['image-malformed', 'image-unsupported', 'platform-not-found'];

/** The path of an image through the daemon. */
export async function prepare(
  workshop: Workshop,
  input: PrepareInput,
  request: Request,
): Promise<ContainerPlan> {
  admitCaller(workshop.config.mode, request.callerUid, workshop.ownUid);
  const source = parseSource(input.reference);
  request.notes.image = source.kind === 'registry' ? source.reference.canonical : input.reference;
  if (input.local && source.kind === 'local') return prepareLocal(workshop, input, input.local, request);
  if (!input.local && source.kind === 'registry') {
    return prepareFromRegistry(workshop, input, source.reference, request);
  }
  throw invalidRequest('reference and local do not fit together');
}

async function prepareFromRegistry(
  workshop: Workshop,
  input: PrepareInput,
  reference: Reference,
  request: Request,
): Promise<ContainerPlan> {
  const { config, tickets } = workshop;
  const { callerUid, stopwatch, notes } = request;

  const asker = { uid: callerUid, jobId: input.job.jobId };
  const resolution = await stopwatch.time('resolve', () => resolve(workshop, asker, reference, request));
  const image = await stopwatch.time('read', () => read(workshop, asker, reference, resolution, request));
  notes.digest = image.digest;
  refuseTooLarge(image, reference.canonical, config.budget.maxBytes);

  let ticket: Uint8Array = new Uint8Array();
  if (!input.unpackedDigests.includes(image.digest)) {
    notes.downloadedBytes = await stopwatch.time('download', () =>
      download(workshop, reference, image, request),
    );
    ticket = tickets.issue(callerUid, { blobs: blobsOf(image, reference), growing: false });
  }
  return planContainer(reference.canonical, image, input.host, ticket, config);
}

/** What the reference stands for, as this user's registry shows it to this user. */
async function resolve(
  { registry, resolutions, store }: Workshop,
  asker: Asker,
  reference: Reference,
  request: Request,
): Promise<Resolution> {
  const known = resolutions.find(asker, reference);
  if (known) return known;
  request.progress.resolving();
  const waiting = waitingOf(request);
  // A manifest that is here already needs no more than the word of the registry that it is the one.
  const digest = await registry.headManifest(reference, waiting);
  if (digest !== undefined && (await store.sizeOf(digest)) !== undefined) {
    return resolutions.remember(asker, reference, { digest, mediaType: undefined });
  }
  const manifest = await registry.manifest(reference, waiting);
  await store.put(manifest.digest, manifest.bytes);
  return resolutions.remember(asker, reference, { digest: manifest.digest, mediaType: manifest.contentType });
}

/** From the digest of a manifest or index to the image for this node. */
async function read(
  workshop: Workshop,
  asker: Asker,
  reference: Reference,
  resolution: Resolution,
  request: Request,
): Promise<Image> {
  const { images, node, resolutions } = workshop;
  const known = images.get(resolution.digest);
  if (known) return known;
  const source = (digest: string, descriptor?: Descriptor): Promise<Uint8Array> =>
    document(workshop, reference, digest, descriptor, request);
  const { digest, mediaType } = resolution;
  const image = await readImage(digest, mediaType, source, node, reference.canonical).catch(
    (error: unknown) => {
      // Who pushes a better one and tries again must not be shown the bad one out of our memory.
      if (error instanceof StowageError && faultsOfImage.includes(error.code))
        resolutions.forget(asker, reference);
      throw error;
    },
  );
  if (images.size >= mostImagesInMemory) images.delete(images.keys().next().value as string);
  images.set(resolution.digest, image);
  return image;
}

/** A manifest, index or configuration: from the store, or from the registry by way of the store. */
async function document(
  { registry, store }: Workshop,
  reference: Reference,
  digest: string,
  descriptor: Descriptor | undefined,
  request: Request,
): Promise<Uint8Array> {
  const waiting = waitingOf(request);
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
    await store.ensure({ digest, size, origin }, fetcher(registry, reference, descriptor), {
      signal: request.signal,
      onEvent: (event) => 'waiting' in event && request.progress.waiting(event.waiting),
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

/** Lets the caller begin to unpack while the layers come in. */
async function download(
  workshop: Workshop,
  reference: Reference,
  image: Image,
  request: Request,
): Promise<number> {
  const { config, registry, store, tickets } = workshop;
  const blobs = blobsOf(image, reference);
  const forget = await store.expect(blobs);
  try {
    if (forget) {
      request.onLayers({
        imageDigest: image.digest,
        layers: planLayers(image),
        blobTicket: tickets.issue(request.callerUid, { blobs, growing: true }),
        blobSocket: config.listen.blobSocket,
        budget: config.budget,
      });
    }
    return await downloadLayers(store, image.layers, {
      parallel: config.download.parallelLayers,
      origin: reference.registry,
      fetch: (layer) => fetcher(registry, reference, layer),
      onProgress: (progress) => request.progress.downloading(progress),
      signal: request.signal,
    });
  } finally {
    await forget?.();
  }
}

function blobsOf({ layers }: Image, { registry: origin }: Reference): BlobRequest[] {
  return layers.map(({ digest, size }) => ({ digest, size, origin }));
}

/** Bound to the download, not to the request: whoever asked first may leave while others still wait. */
function fetcher(registry: RegistryClient, reference: Reference, descriptor: Descriptor): Fetch {
  return (signal, onWait) => registry.blob(reference, descriptor, { signal, onWait });
}

function waitingOf({ signal, progress }: Request): Waiting {
  return { signal, onWait: (sentence) => progress.waiting(sentence) };
}

function malformed({ canonical }: Reference, problem: string): StowageError {
  return new StowageError(
    'image-malformed',
    `image ${canonical} ${problem}; ask whoever built it to build it again`,
  );
}
