import { createServer, request as sendRequest, type IncomingMessage, type Server } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What happens to requests for blobs: they are slow, get no answer, or get 503. Others pass. */
export type Mood = 'slow' | 'hanging' | 'failing';

const pauseMs = 50;

/** In front of a registry, which it makes slow, each transfer for itself. */
export class ThrottlingProxy {
  mood: Mood = 'slow';
  readonly #open = new Set<IncomingMessage>();

  private constructor(
    private readonly server: Server,
    private readonly registryHost: string,
    public bytesPerSecond: number,
  ) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#forward(request, response).catch(() => response.destroy());
    });
  }

  static async start(registryHost: string, bytesPerSecond: number): Promise<ThrottlingProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new ThrottlingProxy(server, registryHost, bytesPerSecond);
  }

  /** "localhost:40123", as it stands in a reference. */
  get host(): string {
    return `localhost:${(this.server.address() as AddressInfo).port}`;
  }

  /** Blobs that are being sent, or waited for in vain, right now. */
  get transfers(): number {
    // An answer that waits for an earlier one of its connection never learns that the connection is gone.
    return [...this.#open].filter(({ socket }) => !socket.destroyed).length;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isBlob = request.method === 'GET' && /\/blobs\//.test(request.url ?? '');
    if (isBlob) {
      this.#open.add(request);
      response.once('close', () => this.#open.delete(request));
      if (this.mood === 'hanging') return;
      if (this.mood === 'failing') {
        response.writeHead(503).end();
        return;
      }
    }
    const { method, url: path, headers } = request;
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const [host, port] = this.registryHost.split(':');
      sendRequest({ host, port, method, path, headers }, resolve).once('error', reject).end();
    });
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    for await (const piece of answer as AsyncIterable<Buffer>) {
      const portion = isBlob ? Math.max(1, Math.round((this.bytesPerSecond * pauseMs) / 1000)) : piece.length;
      for (let at = 0; at < piece.length && !response.destroyed; at += portion) {
        response.write(piece.subarray(at, at + portion));
        if (isBlob) await sleep(pauseMs);
      }
      if (response.destroyed) break;
    }
    response.end();
  }
}
