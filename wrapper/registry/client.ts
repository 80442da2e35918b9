import { isDigest, digestOf } from '../image/digest.js';
import { largestDocumentBytes } from '../image/json-document.js';
import type { Descriptor } from '../image/manifest.js';
import { indexTypes, manifestTypes, schema1Types } from '../image/media-types.js';
import type { Reference } from '../image/reference.js';
import { readAtMost } from './body.js';
import { parseChallenges } from './challenge.js';
import { RegistryError } from './error.js';
import { type HttpLimits, type HttpResponse, HttpTransport } from './http.js';
import { type OnWait, Patience, type RetryLimits } from './patience.js';
import { sendFollowing } from './redirect.js';
import { statusError } from './status-error.js';
import { fetchToken, type Token } from './token.js';

export interface RegistryClientOptions {
  limits: HttpLimits & RetryLimits;
  /** By the host[:port] of a reference. Without an entry: https. */
  registries: Readonly<Record<string, { http?: boolean }>>;
}

export interface Waiting {
  signal: AbortSignal;
  onWait: OnWait;
}

export interface FetchedManifest {
  digest: string;
  bytes: Buffer;
  /** Without parameters; undefined if the registry does not say anything of use. */
  contentType: string | undefined;
}

/** Bytes that must arrive before earlier failures of a download are forgiven. */
const realProgressBytes = 8 * 1024 * 1024;

const mostTokens = 1000;

/** Pulls from registries as nobody in particular. OCI distribution-spec v1.1, "Pull". */
export class RegistryClient {
  readonly #transport: HttpTransport;
  /** By registry and repository. */
  readonly #tokens = new Map<string, Token>();

  constructor(private readonly options: RegistryClientOptions) {
    this.#transport = new HttpTransport(options.limits);
  }

  close(): void {
    this.#transport.close();
  }

  /**
   * The digest that a reference stands for now; undefined if that takes a look at the manifest itself,
   * which also says why. Costs no pull where registries count pulls.
   */
  async headManifest(reference: Reference, waiting: Waiting): Promise<string | undefined> {
    const response = await this.#patiently(waiting, async () => {
      const answer = await this.#send(reference, 'HEAD', manifestPath(reference), { accept }, waiting.signal);
      answer.discard();
      return answer;
    });
    const digest = response.headers['docker-content-digest'];
    if (response.status !== 200 || typeof digest !== 'string' || !isDigest(digest)) return undefined;
    return reference.digest === undefined || reference.digest === digest ? digest : undefined;
  }

  /** A manifest or index: the one the reference names or, with `digest`, another of its repository. */
  async manifest(
    reference: Reference,
    waiting: Waiting,
    digest = reference.digest,
  ): Promise<FetchedManifest> {
    return this.#patiently(waiting, async () => {
      const path = `manifests/${digest ?? reference.tag}`;
      const response = await this.#send(reference, 'GET', path, { accept }, waiting.signal);
      if (response.status !== 200) {
        response.discard();
        throw response.status === 404 ? notFound(reference) : statusError(response, reference.registry);
      }
      const contentType = typeOf(response);
      if (contentType === 'text/html') {
        response.discard();
        throw new RegistryError(
          'registry-misbehaving',
          `registry ${reference.registry} answered with a web page; check its host name and port`,
        );
      }
      const bytes = await readAtMost(response.body, largestDocumentBytes);
      if (bytes === undefined) {
        throw new RegistryError(
          'image-malformed',
          `the manifest of image ${reference.canonical} is larger than ${largestDocumentBytes} bytes; ask whoever built it`,
        );
      }
      const expected = digest ?? response.headers['docker-content-digest'];
      return { digest: verify(bytes, expected, reference), bytes, contentType };
    });
  }

  /**
   * The bytes of a blob, once each and in order: a transfer that breaks off is resumed. At most one byte
   * more than `descriptor.size` comes; the digest is the reader's to check.
   */
  async *blob(reference: Reference, descriptor: Descriptor, waiting: Waiting): AsyncGenerator<Buffer> {
    const patience = this.#patience(waiting);
    let received = 0;
    let lastFailureAt = 0;
    while (received < descriptor.size || descriptor.size === 0) {
      try {
        const response = await this.#openBlob(reference, descriptor, received, waiting.signal);
        // A registry that ignores Range begins anew; what is here already is skipped.
        let skip = response.status === 200 ? received : 0;
        for await (const chunk of response.body) {
          const fresh = chunk.subarray(Math.min(skip, chunk.length));
          skip -= chunk.length - fresh.length;
          const kept = fresh.subarray(0, descriptor.size + 1 - received);
          received += kept.length;
          if (kept.length > 0) yield kept;
          if (received > descriptor.size) return;
        }
        if (received === descriptor.size) return;
        throw new RegistryError(
          'registry-failing',
          `registry ${reference.registry} sent only ${received} of ${descriptor.size} bytes of ${descriptor.digest}; try again later`,
          { retryable: true },
        );
      } catch (error) {
        if (received - lastFailureAt >= realProgressBytes) patience.reset();
        lastFailureAt = received;
        await patience.pauseAfter(error);
      }
    }
  }

  async #openBlob(
    reference: Reference,
    descriptor: Descriptor,
    offset: number,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (offset > 0) headers.range = `bytes=${offset}-`;
    const response = await this.#send(reference, 'GET', `blobs/${descriptor.digest}`, headers, signal);
    if (response.status === 200) return response;
    if (response.status === 206 && offset > 0) {
      const range = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '');
      if (range?.[1] === String(offset)) return response;
      response.discard();
      throw new RegistryError(
        'registry-misbehaving',
        `registry ${reference.registry} sent another part of ${descriptor.digest} than it was asked for; tell whoever runs it`,
      );
    }
    response.discard();
    if (response.status === 404) {
      throw new RegistryError(
        'image-not-found',
        `layer ${descriptor.digest} of image ${reference.canonical} is missing in registry ${reference.registry}; ` +
          'ask whoever built the image to push it again',
      );
    }
    throw statusError(response, reference.registry);
  }

  /** One request with a token where the registry wants one; answers 200, 206, 404 and HEAD's oddities as is. */
  async #send(
    reference: Reference,
    method: 'GET' | 'HEAD',
    path: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const { registry, repository } = reference;
    const plainAllowed = this.options.registries[registry]?.http === true;
    const url = new URL(
      `${plainAllowed ? 'http' : 'https'}://${endpoint(registry)}/v2/${repository}/${path}`,
    );
    const key = `${registry}/${repository}`;
    const request = async (): Promise<HttpResponse> => {
      const token = this.#tokens.get(key);
      const authorization =
        token && token.expiresAtMs > Date.now() ? { authorization: `Bearer ${token.value}` } : {};
      return sendFollowing(this.#transport, {
        url,
        method,
        headers: { 'user-agent': 'stowaged', ...headers, ...authorization },
        registry,
        signal,
      });
    };

    let response = await request();
    if (response.status === 401) {
      response.discard();
      const challenges = parseChallenges(response.headers['www-authenticate'] ?? '');
      const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
      if (!bearer) throw loginNeeded(reference);
      const token = await fetchToken(this.#transport, bearer, { registry, repository, plainAllowed, signal });
      if (this.#tokens.size >= mostTokens) this.#tokens.clear();
      this.#tokens.set(key, token);
      response = await request();
    }
    if (response.status === 401 || response.status === 403) {
      response.discard();
      throw loginNeeded(reference);
    }
    if (response.status === 429 || response.status >= 500) {
      response.discard();
      throw statusError(response, registry);
    }
    return response;
  }

  async #patiently<T>(waiting: Waiting, attempt: () => Promise<T>): Promise<T> {
    const patience = this.#patience(waiting);
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        await patience.pauseAfter(error);
      }
    }
  }

  #patience({ signal, onWait }: Waiting): Patience {
    return new Patience(this.options.limits, signal, onWait);
  }
}

const accept = [...indexTypes, ...manifestTypes, ...schema1Types].join(', ');

function manifestPath(reference: Reference): string {
  return `manifests/${reference.digest ?? reference.tag}`;
}

/** docker.io is a name, not a host. */
function endpoint(registry: string): string {
  return registry === 'docker.io' ? 'registry-1.docker.io' : registry;
}

function typeOf(response: HttpResponse): string | undefined {
  const type = response.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  return type === '' || type === 'application/octet-stream' || type === 'application/json' ? undefined : type;
}

function verify(bytes: Buffer, expected: string | string[] | undefined, reference: Reference): string {
  const wanted = typeof expected === 'string' && isDigest(expected) ? expected : undefined;
  const digest = digestOf(bytes, wanted?.startsWith('sha512:') ? 'sha512' : 'sha256');
  if (wanted !== undefined && digest !== wanted) {
    throw new RegistryError(
      'content-mismatch',
      `registry ${reference.registry} sent a manifest with digest ${digest} for image ${reference.canonical} ` +
        `where ${wanted} was expected; try again later, and tell whoever runs the registry`,
    );
  }
  return digest;
}

function notFound({ registry, canonical }: Reference): RegistryError {
  return new RegistryError(
    'image-not-found',
    `image ${canonical} not found: registry ${registry} has no such repository, tag or digest; check the spelling, or push it there first`,
  );
}

function loginNeeded({ registry, canonical }: Reference): RegistryError {
  return new RegistryError(
    'registry-denied',
    `image ${canonical} is not public: registry ${registry} wants a login, or has no such image; check the spelling, or make it public`,
  );
}
