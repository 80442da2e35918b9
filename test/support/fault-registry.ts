import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How one answer goes wrong. */
export type Fault =
  | { kind: 'status'; status: number; headers?: Record<string, string> }
  | { kind: 'redirect'; to: string }
  | { kind: 'truncate'; bytes: number }
  | { kind: 'ignore-range' }
  | { kind: 'wrong-range' }
  | { kind: 'replace'; body: Buffer }
  | { kind: 'trickle'; bytesPerSecond: number }
  | { kind: 'stall' }
  | { kind: 'reset' }
  | { kind: 'web-page' };

export interface TestImage {
  layers: Buffer[];
  config?: object;
  /** Merged over the manifest that would be right. */
  manifest?: object;
}

interface Content {
  type: string;
  bytes: Buffer;
}

const ociManifest = 'application/vnd.oci.image.manifest.v1+json';

export const sha256 = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** A registry inside the test's own process, right in all but the faults that a test asks for. */
export class FaultRegistry {
  readonly requests: IncomingMessage[] = [];
  /** By the path after /v2/. */
  readonly #content = new Map<string, Content>();
  #faults: { path: RegExp; fault: Fault; times: number }[] = [];
  #token: { value: string; answer: () => { status: number; body: string }; realm: string } | undefined;

  private constructor(private readonly server: Server) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.requests.push(request);
      void this.#answer(request, response);
    });
  }

  static async start(): Promise<FaultRegistry> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FaultRegistry(server);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** "127.0.0.1:40123", as it stands in a reference. */
  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The next `times` answers for a path go wrong. */
  inject(path: RegExp, fault: Fault, times = 1): void {
    this.#faults.push({ path, fault, times });
  }

  /** From now on only a Bearer token opens anything; `answer` is what the token service says. */
  requireToken(
    value: string,
    answer = () => ({ status: 200, body: JSON.stringify({ token: value }) }),
    realm = `http://${this.host}/token`,
  ): void {
    this.#token = { value, answer, realm };
  }

  /** How many requests matched; HEAD and GET alike. */
  count(path: RegExp): number {
    return this.requests.filter(({ url }) => path.test(url ?? '')).length;
  }

  addBlob(repository: string, bytes: Buffer): string {
    const digest = sha256(bytes);
    this.#content.set(`${repository}/blobs/${digest}`, { type: 'application/octet-stream', bytes });
    return digest;
  }

  addManifest(repository: string, tag: string, bytes: Buffer, type: string): string {
    const digest = sha256(bytes);
    for (const name of [tag, digest]) this.#content.set(`${repository}/manifests/${name}`, { type, bytes });
    return digest;
  }

  /** Layers are taken as they are: each is its own diff_id. Returns the digest of the manifest. */
  addImage(repository: string, tag: string, image: TestImage): string {
    const layers = image.layers.map((bytes) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest: this.addBlob(repository, bytes),
      size: bytes.length,
    }));
    const config = Buffer.from(
      JSON.stringify({
        os: 'linux',
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
        config: image.config ?? {},
      }),
    );
    const manifest = {
      schemaVersion: 2,
      mediaType: ociManifest,
      config: {
        mediaType: 'application/vnd.oci.image.config.v1+json',
        digest: this.addBlob(repository, config),
        size: config.length,
      },
      layers,
      ...image.manifest,
    };
    return this.addManifest(repository, tag, Buffer.from(JSON.stringify(manifest)), ociManifest);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '';
    const fault = this.#takeFault(url);
    if (fault && refuse(fault, request, response)) return;
    if (this.#token && url.startsWith('/token')) {
      const { status, body } = this.#token.answer();
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
      return;
    }
    if (this.#token && request.headers.authorization !== `Bearer ${this.#token.value}`) {
      response
        .writeHead(401, {
          'www-authenticate': `Bearer realm="${this.#token.realm}",service="test",scope="x"`,
        })
        .end();
      return;
    }
    const content = this.#content.get(url.replace('/v2/', ''));
    if (!content) {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"errors":[]}');
      return;
    }
    await send(content, fault, request, response);
  }

  #takeFault(url: string): Fault | undefined {
    const entry = this.#faults.find(({ path, times }) => times > 0 && path.test(url));
    if (entry) entry.times--;
    return entry?.fault;
  }
}

/** Faults that take the place of an answer. */
function refuse(fault: Fault, request: IncomingMessage, response: ServerResponse): boolean {
  switch (fault.kind) {
    case 'status':
      response.writeHead(fault.status, fault.headers).end();
      return true;
    case 'redirect':
      response.writeHead(307, { location: fault.to }).end();
      return true;
    case 'reset':
      request.socket.resetAndDestroy();
      return true;
    case 'stall':
      return true;
    case 'web-page':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Please log in</html>');
      return true;
    default:
      return false;
  }
}

async function send(
  { type, bytes }: Content,
  fault: Fault | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const start = fault?.kind === 'ignore-range' ? 0 : from;
  const body = fault?.kind === 'replace' ? fault.body : bytes.subarray(start);
  const claimed = fault?.kind === 'wrong-range' ? start + 1 : start;
  response.writeHead(start > 0 ? 206 : 200, {
    'content-type': type,
    'content-length': body.length,
    'docker-content-digest': sha256(bytes),
    ...(start > 0 ? { 'content-range': `bytes ${claimed}-${bytes.length - 1}/${bytes.length}` } : {}),
  });
  if (request.method === 'HEAD') {
    response.end();
  } else if (fault?.kind === 'truncate') {
    response.write(body.subarray(0, fault.bytes), () => setTimeout(() => request.socket.destroy(), 20));
  } else if (fault?.kind === 'trickle') {
    const pauseMs = 50;
    const portion = Math.max(1, Math.round((fault.bytesPerSecond * pauseMs) / 1000));
    for (let at = 0; at < body.length && !response.destroyed; at += portion) {
      response.write(body.subarray(at, at + portion));
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    response.end();
  } else {
    response.end(body);
  }
}
