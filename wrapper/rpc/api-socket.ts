import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Server as NetServer } from 'node:net';

import { reasonOf, systemErrorCode } from '../error.js';
import { largestDocumentBytes } from '../image/json-document.js';
import { Complaints } from '../telemetry/complaints.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { Connections } from './connections.js';
import { healthService, imageService, nodeService } from './definitions.js';
import type { HealthService } from './health-service.js';
import type { ImageService } from './image-service.js';
import type { NodeService } from './node-service.js';
import { labelSocket, peerOf } from './peer.js';
import { readInTurns } from './read-in-turns.js';
import { listenAt } from './unix-socket.js';

/** A document of a local image, and what is said about it. */
const largestMessageBytes = largestDocumentBytes + 64 * 1024;
const mostConnectionsPerUser = 256;
const mostConnections = 1024;
const longestIdleMs = 10_000;

/** gRPC on a unix socket. The peer is known before a byte of what it sent is read. */
export class ApiSocket {
  private constructor(
    private readonly grpc: Server,
    private readonly listener: NetServer,
    private readonly connections: Connections,
  ) {}

  static async open(
    path: string,
    mode: number,
    services: { image: ImageService; node: NodeService; health: HealthService },
    log: Log,
    metrics: Metrics,
  ): Promise<ApiSocket> {
    const { image, node, health } = services;
    const grpc = new Server({
      'grpc.max_receive_message_length': largestMessageBytes,
      'grpc.max_send_message_length': largestMessageBytes,
      'grpc.max_concurrent_streams': 32,
      'grpc.max_connection_idle_ms': longestIdleMs,
      'grpc.enable_channelz': 0,
      interceptors: [readInTurns()],
    });
    grpc.addService(imageService, {
      prepare: (call: Parameters<ImageService['prepare']>[0]) => void image.prepare(call),
      reportUnpacked: (...call: Parameters<ImageService['reportUnpacked']>) => image.reportUnpacked(...call),
      readSettings: (...call: Parameters<ImageService['readSettings']>) => image.readSettings(...call),
      getVersion: (...call: Parameters<ImageService['getVersion']>) => image.getVersion(...call),
    });
    grpc.addService(nodeService, {
      getStatus: (...call: Parameters<NodeService['getStatus']>) => node.getStatus(...call),
      listImages: (...call: Parameters<NodeService['listImages']>) => node.listImages(...call),
      prune: (...call: Parameters<NodeService['prune']>) => node.prune(...call),
    });
    grpc.addService(healthService, {
      check: (...call: Parameters<HealthService['check']>) => health.check(...call),
      watch: (call: Parameters<HealthService['watch']>[0]) => health.watch(call),
    });
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
    const complaints = new Complaints(log);
    const connections = new Connections(mostConnectionsPerUser, mostConnections, (uid) =>
      complaints.write(uid, 'too many connections'),
    );
    const listener = await listenAt(path, mode, (socket) => {
      let uid: number | undefined;
      // Whoever breaks the rules of HTTP/2 is hung up on by Node, which says why only here.
      socket.on('error', (error) => {
        if (uid === undefined || !systemErrorCode(error)?.startsWith('ERR_HTTP2')) return;
        complaints.write(uid, 'connection broken off', { message: error.message });
      });
      try {
        const peer = peerOf(socket);
        uid = peer.uid;
        // Its own look at itself must succeed however many others there are.
        if (peer.pid !== process.pid && !connections.admit(peer.uid, socket)) {
          metrics.connectionRefused();
          socket.destroy();
          return;
        }
        labelSocket(socket, peer);
        injector.injectConnection(socket);
      } catch (error) {
        log.write('warning', 'connection refused', { message: reasonOf(error) });
        socket.destroy();
      }
    });
    return new ApiSocket(grpc, listener, connections);
  }

  /** Takes no new connections; the path is gone when this returns. */
  stopListening(): void {
    this.listener.close();
  }

  /** Closes what is open: politely, and after `graceMs` all the same. */
  async close(graceMs: number): Promise<void> {
    this.stopListening();
    await new Promise<void>((resolve) => {
      const force = setTimeout(() => {
        this.grpc.forceShutdown();
        resolve();
      }, graceMs);
      this.grpc.tryShutdown(() => {
        clearTimeout(force);
        resolve();
      });
    });
    this.connections.destroyAll();
  }
}
