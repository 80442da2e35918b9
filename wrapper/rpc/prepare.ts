import { type ErrorCode, StowageError } from '../error.js';
import { type Image, readImage } from '../image/image.js';
import type { Descriptor } from '../image/manifest.js';
import type { Reference } from '../image/reference.js';
import { parseSource } from '../image/source.js';
import { type ContainerPlan, planContainer, planLayers } from '../plan/plan.js';
import { admitCaller } from '../policy/caller.js';
import { refuseTooLarge } from '../policy/size.js';
import type { Waiting } from '../registry/client.js';
import { beginDownload, fetchDocument, layerBlobs, resolveReference } from '../store/registry-image.js';
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
    ticket = tickets.issue(callerUid, { blobs: layerBlobs(image.layers, reference), growing: false });
  }
  return planContainer(reference.canonical, image, input.host, ticket, config);
}

/** What the reference stands for, as this user's registry shows it to this user. */
async function resolve(
  workshop: Workshop,
  asker: Asker,
  reference: Reference,
  request: Request,
): Promise<Resolution> {
  const { resolutions } = workshop;
  const known = resolutions.find(asker, reference);
  if (known) return known;
  request.progress.resolving();
  const resolution = await resolveReference(workshop, reference, waitingOf(request));
  return resolutions.remember(asker, reference, resolution);
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
    fetchDocument(workshop, reference, digest, descriptor, waitingOf(request));
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

/** Lets the caller begin to unpack while the layers come in. */
async function download(
  workshop: Workshop,
  reference: Reference,
  image: Image,
  request: Request,
): Promise<number> {
  const { config, tickets } = workshop;
  const { isGrowing, done } = await beginDownload(workshop, reference, image.layers, {
    parallel: config.download.parallelLayers,
    onProgress: (progress) => request.progress.downloading(progress),
    signal: request.signal,
  });
  if (isGrowing) {
    const blobs = layerBlobs(image.layers, reference);
    request.onLayers({
      imageDigest: image.digest,
      layers: planLayers(image),
      blobTicket: tickets.issue(request.callerUid, { blobs, growing: true }),
      blobSocket: config.listen.blobSocket,
      budget: config.budget,
    });
  }
  return done;
}

function waitingOf({ signal, progress }: Request): Waiting {
  return { signal, onWait: (sentence) => progress.waiting(sentence) };
}
