import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';

import type { Config } from '../config/config.js';
import { StowageError } from '../error.js';
import { quote } from '../image/quote.js';
import { parseSource } from '../image/source.js';
import { admitAllUsers, isAdministrator } from '../policy/administrator.js';
import { admitCaller } from '../policy/caller.js';
import type { BlobStore } from '../store/blob-store.js';
import type { Catalog, KnownImage } from '../store/catalog.js';
import { presentBytes } from '../store/present.js';
import { choose, forget } from '../store/prune.js';
import type { Log } from '../telemetry/log.js';
import {
  type GetStatusResponseMessage,
  type ListImagesRequestMessage,
  type ListImagesResponseMessage,
  ProgressPhase,
  type PruneRequestMessage,
  type PruneResponseMessage,
  type StoredImageMessage,
} from './definitions.js';
import { peerFromLabel } from './peer.js';
import { thisSide } from './request.js';
import type { RunningRequest, RunningRequests } from './running.js';
import { asStowageError, statusOf } from './status.js';

/** What fits into a message of gRPC, which may have 4 MiB, with room to spare. */
const mostImages = 5000;
const mostRequests = 1000;
const mostReferences = 1000;
const longestDetail = 500;

/** What the answers are taken from. */
export interface NodeServiceParts {
  config: Pick<Config, 'mode' | 'shortNames'>;
  ownUid: number;
  store: BlobStore;
  catalog: Catalog;
  running: RunningRequests;
}

/** Answers what people ask about this node. */
export class NodeService {
  readonly #startedMs = Date.now();

  constructor(
    private readonly parts: NodeServiceParts,
    private readonly log: Log,
  ) {}

  getStatus(
    call: ServerUnaryCall<unknown, GetStatusResponseMessage>,
    answer: sendUnaryData<GetStatusResponseMessage>,
  ): void {
    void this.#answer(call, answer, (uid) => Promise.resolve(this.#status(uid)));
  }

  listImages(
    call: ServerUnaryCall<ListImagesRequestMessage, ListImagesResponseMessage>,
    answer: sendUnaryData<ListImagesResponseMessage>,
  ): void {
    void this.#answer(call, answer, (uid) => this.#listImages(uid, call.request));
  }

  prune(
    call: ServerUnaryCall<PruneRequestMessage, PruneResponseMessage>,
    answer: sendUnaryData<PruneResponseMessage>,
  ): void {
    void this.#answer(call, answer, (uid) => this.#prune(uid, call.request));
  }

  #status(uid: number): GetStatusResponseMessage {
    const { ownUid, store, running } = this.parts;
    const usage = store.usage();
    const all = running.list();
    const visible = isAdministrator(uid, ownUid) ? all : running.list(uid);
    return {
      server: thisSide,
      startedSeconds: toSeconds(this.#startedMs),
      store: {
        directory: store.directory,
        usedBytes: usage.bytes,
        usedBlobs: usage.blobs,
        maxBytes: usage.maxBytes,
        maxBlobs: usage.maxBlobs,
        freeBytes: usage.freeBytes,
        sharedDirectory: usage.shared?.directory ?? '',
        sharedProblem: usage.shared?.problem ?? '',
      },
      requests: visible.slice(0, mostRequests).map(describeRequest),
      runningRequests: all.length,
      waitingRequests: all.filter(({ progress }) => progress.phase === ProgressPhase.PHASE_WAITING).length,
    };
  }

  async #listImages(uid: number, { allUsers }: ListImagesRequestMessage): Promise<ListImagesResponseMessage> {
    this.#admit(uid, allUsers);
    return this.#describe(this.parts.catalog.list(allUsers ? undefined : uid));
  }

  async #prune(uid: number, request: PruneRequestMessage): Promise<PruneResponseMessage> {
    const { catalog, store } = this.parts;
    const { allUsers, dryRun, references } = request;
    this.#admit(uid, allUsers);
    const owner = allUsers ? undefined : uid;
    const images = choose(catalog.list(owner), {
      only: references.length === 0 ? undefined : this.#known(references, owner),
      unusedSinceMs: Date.now() - Number(request.unusedSeconds) * 1000,
    });
    // As they are now: afterwards there is nothing left of them.
    const described = await this.#describe(images);
    const extent = isAdministrator(uid, this.parts.ownUid) ? 'unneeded' : 'own';
    const { blobs, bytes } = await forget(images, catalog, store, extent, dryRun);
    if (!dryRun) this.log.write('info', 'pruned', { uid, images: images.length, blobs, bytes });
    return { ...described, removedBlobs: blobs, removedBytes: bytes };
  }

  #admit(uid: number, allUsers: boolean): void {
    const { config, ownUid } = this.parts;
    if (!isAdministrator(uid, ownUid)) admitCaller(config.mode, uid, ownUid);
    if (allUsers) admitAllUsers(uid, ownUid);
  }

  /** Canonical references, each of which somebody who is meant has here. */
  #known(references: readonly string[], owner: number | undefined): Set<string> {
    if (references.length > mostReferences) {
      throw new StowageError('request-invalid', `more than ${mostReferences} images are named; name fewer`);
    }
    const here = new Set(this.parts.catalog.list(owner).map(({ canonical }) => canonical));
    return new Set(
      references.map((text) => {
        const source = parseSource(text, this.parts.config.shortNames);
        if (source.kind === 'registry' && here.has(source.reference.canonical)) {
          return source.reference.canonical;
        }
        throw new StowageError(
          'not-on-node',
          source.kind === 'registry'
            ? `image ${source.reference.canonical} is not known on this node; "stowage images" lists what is`
            : `${quote(text)} is a file: only images of registries are kept on the node`,
        );
      }),
    );
  }

  async #describe(images: readonly KnownImage[]): Promise<{ images: StoredImageMessage[]; leftOut: number }> {
    const shown = images.slice(0, mostImages);
    const present = await presentBytes(shown, this.parts.store);
    return {
      images: shown.map((image, i) => ({
        uid: image.uid,
        canonicalReference: image.canonical,
        imageDigest: image.imageDigest,
        sizeBytes: image.layerBytes,
        presentBytes: present[i] ?? 0,
        resolvedSeconds: toSeconds(image.resolvedAtMs),
        usedSeconds: toSeconds(image.usedAtMs),
      })),
      leftOut: images.length - shown.length,
    };
  }

  async #answer<Response>(
    call: { getPeer(): string },
    answer: sendUnaryData<Response>,
    work: (uid: number) => Promise<Response>,
  ): Promise<void> {
    try {
      answer(null, await work(peerFromLabel(call.getPeer()).uid));
    } catch (error) {
      const failure = asStowageError(error);
      if (failure.code === 'internal' && failure.cause instanceof Error) {
        this.log.write('error', 'refused', { code: failure.code, detail: failure.cause.stack });
      }
      answer(statusOf(failure));
    }
  }
}

function describeRequest(request: RunningRequest) {
  const { uid, job, reference, progress, beganMs, prefetch } = request;
  return {
    ...{ uid, job, reference, prefetch },
    progress: { ...progress, detail: (progress.detail ?? '').slice(0, longestDetail) },
    runningMilliseconds: Math.round(performance.now() - beganMs),
  };
}

function toSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}
