import { type ErrorCode, StowageError } from '../error.js';
import { type Image, readImage } from '../image/image.js';
import type { Descriptor } from '../image/manifest.js';
import type { Reference } from '../image/reference.js';
import { parseSource } from '../image/source.js';
import { type ContainerPlan, planContainer, planLayers } from '../plan/plan.js';
import { readWishes, type Wishes } from '../plan/wishes.js';
import { refuseDenied } from '../policy/allowed.js';
import { admitCaller } from '../policy/caller.js';
import { refuseDeniedOptions } from '../policy/options.js';
import { refuseTooLarge } from '../policy/size.js';
import { beginDownload, fetchDocument, layerBlobs } from '../store/registry-image.js';
import type { Resolution } from '../store/resolutions.js';
import { chooseImage, notOnNode } from './choose-image.js';
import type { Errand } from './errand.js';
import { isHere, keepInMemory, readHere } from './image-here.js';
import { prepareLocal } from './prepare-local.js';
import { RegistryVisit } from './registry-visit.js';
import { invalidRequest, type PrepareInput } from './request.js';
import type { Request, Workshop } from './workshop.js';

const faultsOfImage: ErrorCode[] = ['image-malformed', 'image-unsupported', 'platform-not-found'];

/** The path of an image through the daemon. */
export async function prepare(
  workshop: Workshop,
  input: PrepareInput,
  request: Request,
): Promise<ContainerPlan> {
  const { config } = workshop;
  admitCaller(config.mode, request.callerUid, workshop.ownUid);
  refuseDeniedOptions(config.policy, input.options);
  const wishes = await withDevices(workshop, input, readWishes(input.host, input.options));
  const source = parseSource(input.reference, config.shortNames);
  request.notes.image = source.kind === 'registry' ? source.reference.canonical : input.reference;
  if (input.local && source.kind === 'local') {
    return prepareLocal(workshop, input, input.local, wishes, source, request);
  }
  if (!input.local && source.kind === 'registry') {
    refuseDenied(config.policy, source.reference.canonical);
    return prepareFromRegistry(workshop, input, wishes, source.reference, request);
  }
  throw invalidRequest('reference and local do not fit together');
}

/** First, as a device that cannot be had needs no image. */
async function withDevices(
  { devices, config }: Workshop,
  { prefetch, deviceEnvironment }: PrepareInput,
  wishes: Wishes,
): Promise<Wishes> {
  if (prefetch) return wishes;
  const { options } = wishes;
  return { ...wishes, devices: await devices.plan(options.devices ?? [], deviceEnvironment, config.devices) };
}

async function prepareFromRegistry(
  workshop: Workshop,
  input: PrepareInput,
  wishes: Wishes,
  reference: Reference,
  request: Request,
): Promise<ContainerPlan> {
  const { config, resolutions } = workshop;
  const { stopwatch, notes } = request;
  const pull = input.pull ?? config.resolve.pull;
  notes.pull = pull;
  notes.prefetch = input.prefetch;

  const asker = { uid: request.callerUid, jobId: input.job.jobId };
  const forbidden = pull === 'never' ? notOnNode(reference, 'part of it is gone from here') : undefined;
  const visit = new RegistryVisit(workshop, reference, request, forbidden);
  const errand = { input, request, asker, reference, pull, visit };
  try {
    const answer = await stopwatch.time('resolve', () => chooseImage(workshop, errand));
    const image = await stopwatch.time('read', () => read(workshop, errand, answer));
    notes.digest = image.digest;
    refuseTooLarge(image, reference.canonical, config.budget.maxBytes);
    const ticket = await stopwatch.time('download', () => bring(workshop, errand, image));
    resolutions.used(asker, reference, answer, image);
    const plan = planContainer(reference.canonical, image, wishes, ticket, config);
    return { ...plan, notice: answer.notice };
  } finally {
    await visit.end();
  }
}

/** From the digest of a manifest or index to the image for this node. */
async function read(workshop: Workshop, errand: Errand, resolution: Resolution): Promise<Image> {
  const { asker, reference, visit } = errand;
  const { digest, mediaType } = resolution;
  try {
    const here = await readHere(workshop, reference, resolution);
    if (here) return here;
    const image = await visit.ask((supply, waiting) => {
      const source = (wanted: string, descriptor?: Descriptor): Promise<Uint8Array> =>
        fetchDocument(supply, reference, wanted, descriptor, waiting);
      return readImage(digest, mediaType, source, workshop.node, reference.canonical);
    });
    keepInMemory(workshop.images, reference, digest, image);
    return image;
  } catch (error) {
    // Who pushes a better one and tries again must not be shown the bad one out of our memory.
    if (error instanceof StowageError && faultsOfImage.includes(error.code)) {
      workshop.resolutions.forget(asker, reference);
    }
    throw error;
  }
}

/**
 * Makes the layers be here unless the caller has the tree. Returns a ticket for them, if one is due; until it is
 * redeemed or too old they stay.
 */
async function bring(workshop: Workshop, errand: Errand, image: Image): Promise<Uint8Array> {
  const { store, tickets } = workshop;
  const { input, request, reference } = errand;
  const noTicket = new Uint8Array();
  if (input.unpackedDigests.includes(image.digest)) return noTicket;
  const release = store.pin(digestsOf(image));
  try {
    if (!(await isHere(workshop, reference, image))) {
      request.notes.downloadedBytes = await download(workshop, errand, image);
    }
  } catch (error) {
    release();
    throw error;
  }
  if (input.prefetch) {
    release();
    return noTicket;
  }
  const blobs = layerBlobs(image.layers, reference);
  return tickets.issue(request.callerUid, { blobs, growing: false, release });
}

/** Lets the caller begin to unpack while the layers come in. Returns how many bytes had to come. */
async function download(workshop: Workshop, errand: Errand, image: Image): Promise<number> {
  const { config, store, tickets } = workshop;
  const { input, request, reference, visit } = errand;
  return visit.ask(async (supply, { signal }) => {
    const { isGrowing, done } = await beginDownload(supply, reference, image.layers, {
      parallel: config.download.parallelLayers,
      onProgress: (progress) => request.progress.downloading(progress),
      signal,
    });
    if (isGrowing && !input.prefetch) {
      const blobs = layerBlobs(image.layers, reference);
      const release = store.pin(digestsOf(image));
      request.onLayers({
        imageDigest: image.digest,
        layers: planLayers(image),
        blobTicket: tickets.issue(request.callerUid, { blobs, growing: true, release }),
        blobSocket: config.listen.blobSocket,
        budget: config.budget,
      });
    }
    return done;
  });
}

function digestsOf({ documents = [], layers }: Image): string[] {
  return [...documents, ...layers].map(({ digest }) => digest);
}
