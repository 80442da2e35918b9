import { indexTypes, manifestTypes, schema1Types } from '../image/media-types.js';
import type { Reference } from '../image/reference.js';
import { Access } from './access.js';
import type { AnonymousTokens } from './anonymous-tokens.js';
import { blobAnswer, type BlobAnswer, type Range, rangeHeader } from './blob-answer.js';
import { type Endpoint, endpointsOf } from './endpoint.js';
import { RegistryError } from './error.js';
import type { Transport } from './http.js';
import type { AskLogin } from './login.js';
import { digestHeader, type FetchedManifest, readManifest } from './manifest-answer.js';
import { firstAnswer, type RestingMirrors } from './mirrors.js';
import { patiently, type RetryLimits, type Waiting } from './patience.js';
import { refusal } from './refusal.js';
import type { Rules } from './rules.js';
import { type Answer, visit, type Wanted } from './visit.js';

export type { BlobAnswer, Range } from './blob-answer.js';
export { type AskLogin, type Login, SessionClosed } from './login.js';
export type { FetchedManifest } from './manifest-answer.js';
export type { Waiting } from './patience.js';

/** What all sessions of a client share; `limits` and `rules` change when the site's configuration does. */
export interface Common {
  readonly transport: Transport;
  readonly tokens: AnonymousTokens;
  readonly resting: RestingMirrors;
  readonly limits: RetryLimits;
  readonly rules: Rules;
}

/**
 * Pulls from registries for one request, with the logins of whoever made it. OCI distribution-spec v1.1,
 * "Pull". All methods throw SessionClosed once it is closed; bodies that are being read go on to their end.
 */
export class RegistrySession {
  readonly #common: Common;
  readonly #access: Access;
  /** Mirrors that a blob came from, by its digest. */
  readonly #senders = new Map<string, Set<string>>();
  readonly #distrusted = new Map<string, Set<string>>();

  constructor(common: Common, ask?: AskLogin) {
    this.#common = common;
    this.#access = new Access(common.tokens, ask);
  }

  /**
   * The digest that a reference stands for now; undefined if that takes a look at the manifest itself,
   * which also says why. Costs no pull where registries count pulls.
   */
  async headManifest(reference: Reference, waiting: Waiting): Promise<string | undefined> {
    const path = `manifests/${reference.digest ?? reference.tag}`;
    const head = await this.#patiently(reference, waiting, async (endpoint) => {
      const { response, as } = await this.#visit(endpoint, reference, 'HEAD', path, { accept }, waiting);
      response.discard();
      if (response.status === 404 && endpoint.isMirror) return undefined;
      if (isTransient(response.status)) {
        throw await refusal(response, { reference, endpoint, layer: undefined, ...as });
      }
      return { digest: response.status === 200 ? digestHeader(response) : undefined };
    });
    const digest = head?.digest;
    return reference.digest === undefined || reference.digest === digest ? digest : undefined;
  }

  /** A manifest or index: the one the reference names or, with `digest`, another of its repository. */
  async manifest(
    reference: Reference,
    waiting: Waiting,
    digest = reference.digest,
  ): Promise<FetchedManifest> {
    const path = `manifests/${digest ?? reference.tag}`;
    const manifest = await this.#patiently(reference, waiting, async (endpoint) => {
      const { response, as } = await this.#visit(endpoint, reference, 'GET', path, { accept }, waiting);
      if (response.status !== 200)
        throw await refusal(response, { reference, endpoint, layer: undefined, ...as });
      return readManifest(response, endpoint.registry, reference, digest);
    });
    return answered(manifest);
  }

  /**
   * One attempt, without retry, at a part of a blob or, without `to`, at the rest of it; mirrors, logins and
   * redirects included. The digest is the reader's to check.
   */
  async openBlob(reference: Reference, digest: string, range: Range, waiting: Waiting): Promise<BlobAnswer> {
    const header = rangeHeader(range);
    const headers = { 'accept-encoding': 'identity', ...(header === undefined ? {} : { range: header }) };
    const endpoints = this.#endpoints(reference).filter(
      ({ origin, isMirror }) => !isMirror || !this.#distrusted.get(digest)?.has(origin),
    );
    const answer = await firstAnswer(endpoints, this.#common.resting, waiting, async (endpoint) => {
      const path = `blobs/${digest}`;
      const { response, as } = await this.#visit(endpoint, reference, 'GET', path, headers, waiting, true);
      if (response.status !== 200 && response.status !== 206)
        throw await refusal(response, { reference, endpoint, layer: digest, ...as });
      const blob = blobAnswer(response, range, endpoint.registry, digest);
      return endpoint.isMirror ? this.#fromMirror(blob, endpoint, digest) : blob;
    });
    return answered(answer);
  }

  /**
   * Says that the bytes of a blob turned out to be others than its digest promises. Returns whether they came
   * from mirrors: those are not asked for it again, so that trying once more is worth it.
   */
  distrust(digest: string): boolean {
    const senders = this.#senders.get(digest);
    if (!senders) return false;
    this.#senders.delete(digest);
    this.#distrusted.set(digest, new Set([...senders, ...(this.#distrusted.get(digest) ?? [])]));
    return true;
  }

  /** Forgets the logins and overwrites them. */
  close(): void {
    this.#access.close();
  }

  #endpoints(reference: Reference): Endpoint[] {
    const { rules } = this.#common;
    if (rules.of(reference.registry).blocked) throw blocked(reference);
    return endpointsOf(reference, rules);
  }

  #patiently<T>(
    reference: Reference,
    waiting: Waiting,
    ask: (endpoint: Endpoint) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const { limits, resting } = this.#common;
    return patiently(limits, waiting, () => firstAnswer(this.#endpoints(reference), resting, waiting, ask));
  }

  #visit(
    endpoint: Endpoint,
    { canonical }: Reference,
    method: Wanted['method'],
    path: string,
    headers: Wanted['headers'],
    { signal }: Waiting,
    isBulk = false,
  ): Promise<Answer> {
    const wanted = { method, path, headers, isBulk, image: canonical };
    return visit(this.#common.transport, this.#access, endpoint, wanted, signal);
  }

  #fromMirror(blob: BlobAnswer, endpoint: Endpoint, digest: string): BlobAnswer {
    const senders = this.#senders.get(digest) ?? new Set();
    this.#senders.set(digest, senders.add(endpoint.origin));
    return { ...blob, body: restingAfterFailure(blob.body, endpoint, this.#common.resting) };
  }
}

const accept = [...indexTypes, ...manifestTypes, ...schema1Types].join(', ');

/** Whether the same HEAD may be answered better later. Where HEAD is not known (405, 501), GET tells. */
function isTransient(status: number): boolean {
  return [408, 429, 500, 502, 503, 504].includes(status);
}

/** A mirror that breaks off is not asked for the rest. */
async function* restingAfterFailure(
  body: AsyncIterable<Buffer>,
  endpoint: Endpoint,
  resting: RestingMirrors,
): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (error) {
    if (error instanceof RegistryError) resting.add(endpoint);
    throw error;
  }
}

/** The registry itself, which is asked last, answers or throws. */
function answered<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('no endpoint was asked');
  return value;
}

function blocked({ canonical, registry }: Reference): RegistryError {
  return new RegistryError(
    'registry-blocked',
    `image ${canonical}: registry ${registry} is blocked on this site; take the image from another registry, or ask the administrators`,
  );
}
