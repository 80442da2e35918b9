import type { Config } from '../config/config.js';
import type { Image } from '../image/image.js';
import type { LocalFiles } from '../image/local-files.js';
import type { NodePlatform } from '../image/platform.js';
import type { ContainerPlan, PlannedLayer } from '../plan/plan.js';
import type { RegistryClient } from '../registry/client.js';
import type { BlobRequest, BlobStore } from '../store/blob-store.js';
import type { LayerProgress } from '../store/download-layers.js';
import type { Resolutions } from '../store/resolutions.js';
import type { Stopwatch } from '../telemetry/stopwatch.js';
import type { Tickets } from './tickets.js';

/** What the daemon works with; one of each for its whole life. */
export interface Workshop {
  config: Config;
  ownUid: number;
  node: NodePlatform;
  registry: RegistryClient;
  store: BlobStore;
  resolutions: Resolutions;
  tickets: Tickets<TicketedBlobs>;
  /** Images of registries read before, by the digest that a reference stood for. */
  images: Map<string, Image>;
}

/** What a ticket opens. */
export interface TicketedBlobs {
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
  progress: {
    resolving(): void;
    waiting(sentence: string): void;
    downloading(progress: LayerProgress): void;
  };
  /** Called at most once, when unpacking may begin before everything is here. */
  onLayers: (layers: LayersEvent) => void;
  stopwatch: Stopwatch;
  notes: { image?: string; digest?: string; downloadedBytes?: number };
}
