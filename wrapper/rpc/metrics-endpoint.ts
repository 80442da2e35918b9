import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Server as NetServer, Socket } from 'node:net';

import type { MetricsAddress } from '../config/config.js';
import { reasonOf, StowageError } from '../error.js';
import { listenAt } from './unix-socket.js';

/** What is shown. */
export interface MetricsText {
  contentType: string;
  text(): Promise<string>;
}

const mostConnections = 16;
const patienceMs = 5000;

/** `GET /metrics` over plain http, on a unix socket or a port of the loopback interface, and nothing else. */
export class MetricsEndpoint {
  private constructor(
    private readonly http: Server,
    private readonly listener: NetServer,
  ) {}

  /** Throws `start-refused` if the address cannot be had. `mode` is for a socket. */
  static async open(address: MetricsAddress, mode: number, metrics: MetricsText): Promise<MetricsEndpoint> {
    const limits = {
      maxHeaderSize: 4096,
      headersTimeout: patienceMs,
      requestTimeout: patienceMs,
      keepAliveTimeout: patienceMs,
      connectionsCheckingInterval: patienceMs,
    };
    const http = createServer(limits, (request, response) => void answer(metrics, request, response));
    http.maxConnections = mostConnections;
    // Whoever does not read what was asked for is let go.
    http.timeout = 2 * patienceMs;
    if ('socket' in address) {
      let open = 0;
      const listener = await listenAt(address.socket, mode, (socket: Socket) => {
        socket.on('error', () => undefined);
        if (open >= mostConnections) {
          socket.destroy();
          return;
        }
        open++;
        socket.once('close', () => open--);
        http.emit('connection', socket);
      });
      return new MetricsEndpoint(http, listener);
    }
    const { host, port } = address;
    await new Promise<void>((resolve, reject) => {
      http.once('error', (error) => {
        const sentence = `metrics cannot be served at ${host}:${port} (${reasonOf(error)}); choose another metrics.listen`;
        reject(new StowageError('start-refused', sentence, { cause: error }));
      });
      http.listen({ host, port }, resolve);
    });
    http.on('error', () => undefined);
    return new MetricsEndpoint(http, http);
  }

  /** Of an address that left the choice to the kernel; undefined for a socket. */
  get port(): number | undefined {
    const address = this.listener.address();
    return typeof address === 'object' ? address?.port : undefined;
  }

  close(): void {
    this.listener.close();
    this.http.close();
    this.http.closeAllConnections();
  }
}

async function answer(
  metrics: MetricsText,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const refuse = (status: number, sentence: string): void => {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
    response.end(`${sentence}\n`);
  };
  // No metric needs a body, and none is read.
  if (request.method !== 'GET') {
    refuse(405, 'only GET is answered');
    return;
  }
  if (request.url !== '/metrics') {
    refuse(404, 'metrics are at /metrics');
    return;
  }
  try {
    const text = await metrics.text();
    response.writeHead(200, { 'content-type': metrics.contentType });
    response.end(text);
  } catch (error) {
    refuse(500, `metrics cannot be collected (${reasonOf(error)})`);
  }
}
