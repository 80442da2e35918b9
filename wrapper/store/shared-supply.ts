import { StowageError } from '../error.js';
import { abortable } from './abortable.js';
import { type BlobRequest, type Delivery, keyOf } from './blob-request.js';
import type { Claim } from './claims.js';
import type { Intake } from './intake.js';
import { haveRegistryOf } from './origins.js';
import type { SharedDirectory } from './shared-directory.js';
import type { Shelf } from './shelf.js';

/** After so many others have claimed a blob on the shared directory and not brought it, this node goes alone. */
const mostClaimsOfOthers = 2;

/** Takes blobs from the directory that nodes share, and gives to it. */
export class SharedSupply {
  /** Copies to the shared directory. */
  readonly #copying = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(
    private readonly shared: SharedDirectory,
    private readonly shelf: Shelf,
    private readonly intake: Intake,
  ) {}

  /** What is being copied to the shared directory is given up. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the store was closed'));
    await Promise.all(this.#copying);
  }

  /**
   * Looks in the shared directory, and waits there while another node downloads the blob. Returns 'here' when it
   * came from there; else it has to be downloaded, with this node's claim if there is one.
   */
  async bring(delivery: Delivery): Promise<Claim | 'here' | undefined> {
    const { shared } = this;
    const { request, signal, emit } = delivery;
    for (let others = 0; others < mostClaimsOfOthers; others++) {
      if (await this.#fill(delivery)) return 'here';
      const claim = await shared.claim(keyOf(request), signal, () =>
        emit({ waiting: 'another node is downloading it' }),
      );
      if (claim) {
        // Between the look and the claim another node may have come to its end.
        try {
          if (!(await this.#fill(delivery))) return claim;
        } catch (error) {
          await claim.release();
          throw error;
        }
        await claim.release();
        return 'here';
      }
      if (shared.problem !== '') return undefined;
    }
    return (await this.#fill(delivery)) ? 'here' : undefined;
  }

  /** Gives a blob to all nodes, in the background: whoever wanted it on this node has it. */
  give(request: BlobRequest, claim: Claim | undefined): void {
    const release = this.shelf.pins.take([request.digest]);
    const copying = this.shared
      .publish(request, abortable(this.shelf.bytes(request.digest), this.#closing.signal))
      .catch(() => undefined)
      .then(() => claim?.release())
      .finally(() => {
        release();
        this.#copying.delete(copying);
      });
    this.#copying.add(copying);
  }

  /** Returns whether the blob was there, right, and for callers of this scope. */
  async #fill({ request, source, signal, emit, draft }: Delivery): Promise<boolean> {
    const { shared, intake } = this;
    const { digest, size, scope } = request;
    const blob = await shared.find(digest, size);
    if (!blob) return false;
    if (!blob.scopes.has(scope)) {
      if (!haveRegistryOf(scope, blob.scopes)) return false;
      await source.probe(signal, (waiting) => emit({ waiting }));
    }
    emit({ waiting: '' });
    try {
      const bytes = abortable(ofShared(blob.bytes), signal);
      await intake.fill(draft, request, bytes, (doneBytes) => emit({ doneBytes }));
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof StowageError && error.code === 'content-mismatch') await shared.setAside(digest);
      else if (error instanceof SharedFailed) shared.failed(error.cause);
      else throw error;
      return false;
    }
    await intake.grant(request);
    if (!blob.scopes.has(scope)) await shared.grant(digest, scope);
    return true;
  }
}

/** Reading from the shared directory failed, which is no failure of this store. */
class SharedFailed extends Error {
  constructor(override readonly cause: unknown) {
    super('the shared image store failed');
  }
}

async function* ofShared(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (error) {
    throw new SharedFailed(error);
  }
}
