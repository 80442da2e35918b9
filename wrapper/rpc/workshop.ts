import type { DeviceSpecs } from '../cdi/device-specs.js';
import type { Config, PullPolicy } from '../config/config.js';
import type { Image } from '../image/image.js';
import type { LocalFiles } from '../image/local-files.js';
import type { NodePlatform } from '../image/platform.js';
import type { ContainerPlan, PlannedLayer } from '../plan/plan.js';
import type { Admission } from '../policy/admission.js';
import type { RegistryClient } from '../registry/client.js';
import type { AskLogin } from '../registry/session.js';
import type { Transfers } from '../registry/transfers.js';
import type { BlobRequest, BlobStore } from '../store/blob-store.js';
import type { Catalog } from '../store/catalog.js';
import type { LayerProgress } from '../store/download-layers.js';
import type { Resolutions } from '../store/resolutions.js';
import type { Stopwatch } from '../telemetry/stopwatch.js';
import type { RunningRequests } from './running.js';
import type { Redeemable, Tickets } from './tickets.js';

/** What the daemon works with; one of each for its whole life. */
export interface Workshop {
  /** Another one after a reload: ask for it anew for each request. */
  config: Config;
  ownUid: number;
  node: NodePlatform;
  registry: RegistryClient;
  transfers: Transfers;
  admission: Admission;
  /** Of those who only bring an image here, so that no step waits behind what was to be of use to it. */
  prefetchAdmission: Admission;
  store: BlobStore;
  catalog: Catalog;
  running: RunningRequests;
  resolutions: Resolutions;
  tickets: Tickets<TicketedBlobs>;
  /** Images of registries read before, by repository and the digest that a reference stood for. */
  images: Map<string, Image>;
  devices: DeviceSpecs;
}

/** What a ticket opens. */
export interface TicketedBlobs extends Redeemable {
  /** In the order in which the descriptors are handed out. */
  blobs: readonly BlobRequest[];
  /** Whether they may still be on their way into the store. */
  growing: boolean;
}

/** Layers of proto/stowage/v1/image.proto. */
export interface LayersEvent extends Pick<
  ContainerPlan,
  'imageDigest' | 'blobTicket' | 'blobSocket' | 'budget'
> {
  layers: PlannedLayer[];
}

/** One request under way: who asks, until when, who is told, and what is noted for the log. */
export interface Request {
  callerUid: number;
  signal: AbortSignal;
  /** The small files of a local image, read by the client. */
  files: LocalFiles;
  /** What the caller has to log in with. */
  askLogin: AskLogin;
  progress: {
    resolving(): void;
    waiting(sentence: string): void;
    downloading(progress: LayerProgress): void;
  };
  /** Called at most once, when unpacking may begin before everything is here. */
  onLayers: (layers: LayersEvent) => void;
  stopwatch: Stopwatch;
  notes: {
    image?: string;
    digest?: string;
    downloadedBytes?: number;
    pull?: PullPolicy;
    prefetch?: boolean;
    /** For a turn to ask registries; undefined if there was no need to. */
    waitedMs?: number;
  };
}
