import type { Config } from './config/config.js';
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
import { RunningRequests } from './rpc/running.js';
import { Tickets } from './rpc/tickets.js';
import type { TicketedBlobs, Workshop } from './rpc/workshop.js';
import { BlobStore } from './store/blob-store.js';
import { Catalog } from './store/catalog.js';
import { Resolutions } from './store/resolutions.js';
import type { Log } from './telemetry/log.js';

/** How long requests may go on after a stop was asked for, and how long connections after that. */
const finishMs = 2500;
const closeMs = 1000;

/** A running stowaged. */
export class Daemon {
  private constructor(
    private readonly workshop: Workshop,
    private readonly image: ImageService,
    private readonly health: HealthService,
    private readonly api: ApiSocket,
    private readonly blobs: BlobSocket,
  ) {}

  /** Throws `start-refused` if the store or a socket cannot be had. */
  static async start(config: Config, log: Log): Promise<Daemon> {
    const store = await BlobStore.open(config.store, 'alone', log);
    const catalog = await Catalog.open(config.store.directory, log);
    const running = new RunningRequests();
    const tickets = new Tickets<TicketedBlobs>();
    const registry = new RegistryClient({ limits: config.download, registries: config.registries });
    const workshop: Workshop = {
      config,
      ownUid: process.getuid?.() ?? -1,
      node: thisNode(),
      registry,
      transfers: new Transfers(config.download, (name) => config.registries[name]?.maxBytesPerSecond ?? 0),
      admission: new Admission(config.limits),
      store,
      catalog,
      running,
      resolutions: new Resolutions(catalog),
      tickets,
      images: new Map(),
    };
    const mode = config.mode === 'service' ? 0o666 : 0o600;
    const image = new ImageService(workshop, log);
    const node = new NodeService(workshop, log);
    const health = new HealthService();
    const { socket, blobSocket } = config.listen;
    let blobs: BlobSocket | undefined;
    try {
      blobs = await BlobSocket.open(blobSocket, mode, tickets, store, log);
      const api = await ApiSocket.open(socket, mode, { image, node, health }, log);
      return new Daemon(workshop, image, health, api, blobs);
    } catch (error) {
      blobs?.close();
      registry.close();
      await catalog.close();
      await store.close();
      throw error;
    }
  }

  /** Takes no more calls, lets those under way finish or fails them, and leaves no socket behind. */
  async stop(): Promise<void> {
    this.api.stopListening();
    this.health.stop();
    const deadline = performance.now() + finishMs;
    while (this.image.runningCount > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    this.image.abortAll(
      new StowageError('daemon-stopping', 'stowaged of this node is being restarted; try again in a minute'),
    );
    await this.api.close(closeMs);
    this.blobs.close();
    this.workshop.registry.close();
    await this.workshop.catalog.close();
    await this.workshop.store.close();
  }
}
