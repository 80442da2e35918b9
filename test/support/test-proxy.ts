import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';

/** A proxy for CONNECT and for requests in absolute form; one with a login refuses all others. */
export class TestProxy {
  /** "CONNECT 127.0.0.1:4711", "GET http://127.0.0.1:4711/v2/". */
  readonly requests: string[] = [];
  readonly authorizations: (string | undefined)[] = [];
  /** What it answers to all requests; undefined if it does what it is there for. */
  refuses: number | undefined;
  readonly #sockets = new Set<Duplex>();

  private constructor(private readonly server: Server) {}

  static async start(): Promise<TestProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = new TestProxy(server);
    server.on('connect', (incoming: IncomingMessage, socket: Duplex) => proxy.#connect(incoming, socket));
    server.on('request', (incoming: IncomingMessage, response) => {
      proxy.#note(incoming);
      if (proxy.refuses !== undefined) {
        response.writeHead(proxy.refuses).end();
        return;
      }
      const onward = request(new URL(incoming.url ?? ''), { headers: incoming.headers, agent: false });
      onward.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      onward.end();
    });
    return proxy;
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #note({ method, url, headers }: IncomingMessage): void {
    this.requests.push(`${method} ${url}`);
    this.authorizations.push(headers['proxy-authorization']);
  }

  #connect(incoming: IncomingMessage, socket: Duplex): void {
    this.#note(incoming);
    if (this.refuses !== undefined) {
      socket.end(`HTTP/1.1 ${this.refuses} No\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n`);
      return;
    }
    const target = new URL(`http://${incoming.url}`);
    const onward = connect(Number(target.port), target.hostname, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    for (const side of [socket, onward]) {
      this.#sockets.add(side);
      side.on('error', () => undefined);
    }
  }
}
