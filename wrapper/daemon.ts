import { DeviceSpecs } from './cdi/device-specs.js';
import type { Config } from './config/config.js';
import { reloaded } from './config/restart-keys.js';
import { StowageError } from './error.js';
import { thisNode } from './image/platform.js';
import { Admission } from './policy/admission.js';
import { RegistryClient } from './registry/client.js';
import { Transfers } from './registry/transfers.js';
import { ApiSocket } from './rpc/api-socket.js';
import { BlobSocket } from './rpc/blob-socket.js';
import { HealthService } from './rpc/health-service.js';
import { ImageService } from './rpc/image-service.js';
import { NodeService } from './rpc/node-service.js';
import { MetricsEndpoint } from './rpc/metrics-endpoint.js';
import { RunningRequests } from './rpc/running.js';
import { Tickets } from './rpc/tickets.js';
import type { TicketedBlobs, Workshop } from './rpc/workshop.js';
import { answersItself } from './service/self-check.js';
import { BlobStore } from './store/blob-store.js';
import { Catalog } from './store/catalog.js';
import { Resolutions } from './store/resolutions.js';
import type { Log } from './telemetry/log.js';
import { type Metrics, noMetrics } from './telemetry/metrics.js';
import type { PrometheusMetrics } from './telemetry/prometheus.js';

/** How long requests may go on after a stop was asked for, and how long connections after that. */
const finishMs = 2500;
const closeMs = 1000;
/** Mount point of slurm-conf-examples/run-stowage-trees.mount; only to say how full it is. */
const treeStore = '/run/stowage/trees';

/** What was opened, to be closed in the opposite order. */
type Opened = { close(): void | Promise<void> }[];

/** A running stowaged. */
export class Daemon {
  private constructor(
    private readonly workshop: Workshop,
    private readonly health: HealthService,
    private readonly api: ApiSocket,
    private readonly opened: Opened,
  ) {}

  /** Throws `start-refused` if the store or a socket cannot be had, and `config-invalid`; nothing stays open then. */
  static async start(config: Config, log: Log): Promise<Daemon> {
    const opened: Opened = [];
    try {
      const workshop = await openWorkshop(config, log, opened);
      return await Daemon.#listen(workshop, log, opened);
    } catch (error) {
      await closeAll(opened);
      throw error;
    }
  }

  static async #listen(workshop: Workshop, log: Log, opened: Opened): Promise<Daemon> {
    const { config, store, tickets } = workshop;
    const mode = config.mode === 'service' ? 0o666 : 0o600;
    const { socket, blobSocket } = config.listen;
    let metrics: Metrics = noMetrics;
    if (config.metrics) {
      const collected = await prometheus(workshop);
      opened.push(await MetricsEndpoint.open(config.metrics, mode, collected));
      metrics = collected;
    }
    const image = new ImageService(workshop, log, metrics);
    const node = new NodeService(workshop, log);
    const health = new HealthService();
    opened.push(await BlobSocket.open(blobSocket, mode, tickets, store, log));
    const api = await ApiSocket.open(socket, mode, { image, node, health }, log, metrics);
    return new Daemon(workshop, health, api, opened);
  }

  /** Rejects unless a caller of the socket gets an answer within that time. */
  check(limitMs: number): Promise<void> {
    return answersItself(this.workshop.config.listen.socket, limitMs);
  }

  /**
   * Uses `next` for requests to come; those under way are not touched. Returns the keys that need a restart. Throws
   * `config-invalid` if registries cannot be used as it says, and then nothing has changed.
   */
  reload(next: Config): string[] {
    const { workshop } = this;
    const { config, waiting } = reloaded(workshop.config, next);
    // First, as it may refuse.
    workshop.registry.update({ limits: config.download, registries: config.registries });
    workshop.config = config;
    workshop.transfers.update(config.download);
    workshop.admission.update(config.limits);
    workshop.prefetchAdmission.update(config.limits);
    workshop.store.update(config.store);
    return waiting;
  }

  /** Takes no more calls, lets those under way finish or fails them, and leaves no socket behind. */
  async stop(): Promise<void> {
    this.api.stopListening();
    this.health.stop();
    const deadline = performance.now() + finishMs;
    while (this.workshop.running.callCount > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    this.workshop.running.abortAll(
      new StowageError('daemon-stopping', 'stowaged of this node is being restarted; try again in a minute'),
    );
    await this.api.close(closeMs);
    await closeAll(this.opened);
  }
}

async function openWorkshop(config: Config, log: Log, opened: Opened): Promise<Workshop> {
  const store = await BlobStore.open(config.store, 'alone', log);
  opened.push(store);
  const catalog = await Catalog.open(config.store.directory, log);
  opened.push(catalog);
  const registry = new RegistryClient({ limits: config.download, registries: config.registries });
  opened.push(registry);
  const workshop: Workshop = {
    config,
    ownUid: process.getuid?.() ?? -1,
    node: thisNode(),
    registry,
    transfers: new Transfers(
      config.download,
      (name) => workshop.config.registries[name]?.maxBytesPerSecond ?? 0,
    ),
    admission: new Admission(config.limits),
    prefetchAdmission: new Admission(config.limits),
    store,
    catalog,
    running: new RunningRequests(),
    resolutions: new Resolutions(catalog),
    tickets: new Tickets<TicketedBlobs>(),
    images: new Map(),
    devices: new DeviceSpecs(log),
  };
  return workshop;
}

async function closeAll(opened: Opened): Promise<void> {
  for (const part of opened.splice(0).reverse()) await part.close();
}

/** Loaded only where a site wants metrics: it takes some megabytes. */
async function prometheus({ running, store, registry }: Workshop): Promise<PrometheusMetrics> {
  const { PrometheusMetrics } = await import('./telemetry/prometheus.js');
  return new PrometheusMetrics({
    requests: () => running.counts,
    store: () => store.usage(),
    exchanges: () => registry.exchanges,
    trees: treeStore,
  });
}
