import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import type { Certificate } from './certificates.js';

/** How one answer goes wrong. */
export type Fault =
  | { kind: 'status'; status: number; headers?: Record<string, string | string[]>; body?: string }
  | { kind: 'redirect'; to: string }
  | { kind: 'truncate'; bytes: number }
  | { kind: 'ignore-range' }
  | { kind: 'wrong-range' }
  /** Chunked: the answer does not say how long it is. */
  | { kind: 'replace'; body: Buffer; isChunked?: boolean }
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

/** What a token service answers to a request with such a body. */
export type TokenAnswer = (request: IncomingMessage, body: string) => { status: number; body: string };

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
  /** Answers under way, and the most there were. */
  atOnce = 0;
  mostAtOnce = 0;
  /** By the path after /v2/. */
  readonly #content = new Map<string, Content>();
  #faults: { path: RegExp; fault: Fault; times: number }[] = [];
  #token: { value: string; answer: TokenAnswer; realm: string } | undefined;
  #basic: string | undefined;
  /** Logins that open single repositories. */
  readonly #private = new Map<string, string>();

  private constructor(
    private readonly server: Server,
    readonly origin: string,
  ) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.requests.push(request);
      this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce);
      response.once('close', () => this.atOnce--);
      void this.#answer(request, response);
    });
  }

  /** With a certificate: over https. */
  static async start(tls?: Certificate): Promise<FaultRegistry> {
    const server = tls ? createTlsServer({ key: tls.key, cert: tls.certificate }) : createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return new FaultRegistry(server, `${tls ? 'https' : 'http'}://127.0.0.1:${port}`);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** "127.0.0.1:40123", as it stands in a reference. */
  get host(): string {
    return new URL(this.origin).host;
  }

  /** The next `times` answers for a path go wrong. */
  inject(path: RegExp, fault: Fault, times = 1): void {
    this.#faults.push({ path, fault, times });
  }

  /** From now on nothing goes wrong, and nothing is remembered of what was asked. */
  forgive(): void {
    this.#faults = [];
    this.requests.length = 0;
    this.mostAtOnce = this.atOnce;
  }

  /** From now on only a Bearer token opens anything; `answer` is what the token service says. */
  requireToken(
    value: string,
    answer: TokenAnswer = () => ({ status: 200, body: JSON.stringify({ token: value }) }),
    realm = `${this.origin}/token`,
  ): void {
    this.#token = { value, answer, realm };
  }

  /** From now on only this login opens anything; where a token is required too, either does. */
  requireBasic(username: string, password: string): void {
    this.#basic = basic(username, password);
  }

  /** From now on only this login opens what is in that repository. */
  makePrivate(repository: string, username: string, password: string): void {
    this.#private.set(repository, basic(username, password));
  }

  /** How many requests matched; HEAD and GET alike. */
  count(path: RegExp): number {
    return this.requests.filter(({ url }) => path.test(url ?? '')).length;
  }

  addBlob(repository: string, bytes: Buffer, digest = sha256(bytes)): string {
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
      const { status, body } = this.#token.answer(request, await textOf(request));
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
      return;
    }
    const challenges = this.#challenges(request.headers.authorization);
    if (challenges.length > 0) {
      response.writeHead(401, { 'www-authenticate': challenges }).end();
      return;
    }
    const repository = /^\/v2\/(.*)\/(?:blobs|manifests)\//.exec(url)?.[1] ?? '';
    if ((this.#private.get(repository) ?? request.headers.authorization) !== request.headers.authorization) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="a repository"' }).end();
      return;
    }
    const content = this.#content.get(url.replace('/v2/', ''));
    if (!content) {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"errors":[]}');
      return;
    }
    await send(content, fault, request, response);
  }

  /** None if this opens what is here. */
  #challenges(authorization: string | undefined): string[] {
    const token = this.#token;
    const opened = [token && `Bearer ${token.value}`, this.#basic].filter((value) => value !== undefined);
    if (opened.length === 0 || opened.includes(authorization ?? '')) return [];
    return [
      ...(this.#basic === undefined ? [] : ['Basic realm="a registry, for tests"']),
      ...(token ? [`Bearer realm="${token.realm}",service="test",scope="x"`] : []),
    ];
  }

  #takeFault(url: string): Fault | undefined {
    const entry = this.#faults.find(({ path, times }) => times > 0 && path.test(url));
    if (entry) entry.times--;
    return entry?.fault;
  }
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}

/** Faults that take the place of an answer. */
function refuse(fault: Fault, request: IncomingMessage, response: ServerResponse): boolean {
  switch (fault.kind) {
    case 'status':
      response.writeHead(fault.status, fault.headers).end(fault.body);
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
  const range =
    fault?.kind === 'ignore-range' ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const start = Number(range?.[1] ?? 0);
  const end = Math.min(Number(range?.[2] || Infinity), bytes.length - 1);
  const body = fault?.kind === 'replace' ? fault.body : bytes.subarray(start, end + 1);
  const claimed = fault?.kind === 'wrong-range' ? start + 1 : start;
  response.writeHead(range ? 206 : 200, {
    'content-type': type,
    ...(fault?.kind === 'replace' && fault.isChunked ? {} : { 'content-length': body.length }),
    'docker-content-digest': sha256(bytes),
    ...(range ? { 'content-range': `bytes ${claimed}-${end}/${bytes.length}` } : {}),
  });
  if (request.method === 'HEAD') {
    response.end();
  } else if (fault?.kind === 'truncate') {
    response.write(body.subarray(0, fault.bytes), () => setTimeout(() => request.socket.destroy(), 20));
  } else if (fault?.kind === 'trickle') {
    const pauseMs = 50;
    const portion = Math.max(1, Math.round((fault.bytesPerSecond * pauseMs) / 1000));
    for (let at = 0; at < body.length && !response.destroyed; at += portion) {
      if (at > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      response.write(body.subarray(at, at + portion));
    }
    response.end();
  } else {
    response.end(body);
  }
}
