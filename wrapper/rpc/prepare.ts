import type { Config } from '../config/config.js';
import { type ErrorCode, StowageError } from '../error.js';
import { type Image, readImage } from '../image/image.js';
import { largestDocumentBytes } from '../image/json-document.js';
import type { Descriptor } from '../image/manifest.js';
import { indexTypes, manifestTypes } from '../image/media-types.js';
import type { NodePlatform } from '../image/platform.js';
import { parseReference, type Reference } from '../image/reference.js';
import { type ContainerPlan, planContainer } from '../plan/plan.js';
import { admitCaller } from '../policy/caller.js';
import type { RegistryClient, Waiting } from '../registry/client.js';
import type { BlobStore, Fetch } from '../store/blob-store.js';
import { downloadLayers, type LayerProgress } from '../store/download-layers.js';
import type { Asker, Resolution, Resolutions } from '../store/resolutions.js';
import type { Stopwatch } from '../telemetry/stopwatch.js';
import type { PrepareInput } from './request.js';
import type { Tickets } from './tickets.js';

const mostImagesInMemory = 500;

const faultsOfImage: ErrorCode[] = ['image-malformed', 'image-unsupported', 'platform-not-found'];

/** What the daemon works with; one of each for its whole life. */
export interface Workshop {
  config: Config;
  ownUid: number;
  node: NodePlatform;
  registry: RegistryClient;
  store: BlobStore;
  resolutions: Resolutions;
  tickets: Tickets;
  /** Images read before, by the digest that a reference stood for. */
  images: Map<string, Image>;
}

/** One request under way: who asks, until when, who is told, and what is noted for the log. */
export interface Request {
  callerUid: number;
  signal: AbortSignal;
  progress: {
    resolving(): void;
    waiting(sentence: string): void;
    downloading(progress: LayerProgress): void;
  };
  stopwatch: Stopwatch;
  notes: { image?: string; digest?: string; downloadedBytes?: number };
}

/** The path of an image through the daemon. */
export async function prepare(
  workshop: Workshop,
  input: PrepareInput,
  request: Request,
): Promise<ContainerPlan> {
  const { config, tickets } = workshop;
  const { callerUid, stopwatch, notes } = request;

  admitCaller(config.mode, callerUid, workshop.ownUid);
  const reference = parseReference(input.reference);
  notes.image = reference.canonical;

  const asker = { uid: callerUid, jobId: input.job.jobId };
  const resolution = await stopwatch.time('resolve', () => resolve(workshop, asker, reference, request));
  const image = await stopwatch.time('read', () => read(workshop, asker, reference, resolution, request));
  notes.digest = image.digest;
  refuseTooLarge(image, reference, config.budget.maxBytes);

  let ticket: Uint8Array = new Uint8Array();
  if (!input.unpackedDigests.includes(image.digest)) {
    notes.downloadedBytes = await stopwatch.time('download', () =>
      download(workshop, reference, image, request),
    );
    ticket = tickets.issue(
      callerUid,
      image.layers.map(({ digest }) => digest),
    );
  }
  return planContainer(reference, image, input.host, ticket, config);
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

async function download(
  { config, registry, store }: Workshop,
  reference: Reference,
  image: Image,
  request: Request,
): Promise<number> {
  return downloadLayers(store, image.layers, {
    parallel: config.download.parallelLayers,
    origin: reference.registry,
    fetch: (layer) => fetcher(registry, reference, layer),
    onProgress: (progress) => request.progress.downloading(progress),
    signal: request.signal,
  });
}

/** Bound to the download, not to the request: whoever asked first may leave while others still wait. */
function fetcher(registry: RegistryClient, reference: Reference, descriptor: Descriptor): Fetch {
  return (signal, onWait) => registry.blob(reference, descriptor, { signal, onWait });
}

function refuseTooLarge(image: Image, { canonical }: Reference, maxBytes: number): void {
  const bytes = image.layers.reduce((sum, { size }) => sum + size, 0);
  if (bytes <= maxBytes) return;
  throw new StowageError(
    'image-too-large',
    `image ${canonical} has ${bytes} bytes compressed, and this site allows ${maxBytes} unpacked; use a smaller image, ` +
      'or ask the administrators to raise budget.max_bytes',
  );
}

function waitingOf({ signal, progress }: Request): Waiting {
  return { signal, onWait: (sentence) => progress.waiting(sentence) };
}

function malformed({ canonical }: Reference, problem: string): StowageError {
  return new StowageError(
    'image-malformed',
    `image ${canonical} ${problem}; ask whoever built it to push it again`,
  );
}
