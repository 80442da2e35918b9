import { statfsSync } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { addon } from '../addon/addon.js';
import type { StoreConfig } from '../config/config.js';
import { StowageError, systemErrorCode } from '../error.js';
import type { OnWait } from '../registry/patience.js';
import { SessionClosed } from '../registry/session.js';
import type { Log } from '../telemetry/log.js';
import { BlobFiles, type StoredBlob } from './blob-files.js';
import { Census } from './census.js';
import type { Claim } from './claims.js';
import { Draft } from './draft.js';
import { Drafts, type Lease } from './drafts.js';
import { storeError } from './error.js';
import { haveRegistryOf } from './origins.js';
import { Pins } from './pins.js';
import { Provenance } from './provenance.js';
import { Room } from './room.js';
import { SharedDirectory } from './shared-directory.js';
import { SharedWork } from './shared-work.js';

export interface BlobRequest {
  digest: string;
  size: number;
  /** "REGISTRY/REPOSITORY" of the reference that it is asked for through; decision 0011. */
  scope: string;
}

/** What a download reports: bytes so far, or a sentence on why nothing moves. */
export type DownloadEvent = { doneBytes: number } | { waiting: string };

/** Where a caller would have a blob from. */
export interface BlobSource {
  /** The bytes from the first to the last. Throws SessionClosed if the caller that it belongs to is gone. */
  bytes(signal: AbortSignal, onWait: OnWait): AsyncIterable<Uint8Array>;
  /** Whether the caller would get them; throws what bytes() would throw. */
  probe(signal: AbortSignal, onWait: OnWait): Promise<void>;
  /** Hears that the bytes were wrong. Returns whether they would come from somewhere else now. */
  distrust(): boolean;
}

export interface StoreUsage {
  bytes: number;
  blobs: number;
  /** 0 is no limit. */
  maxBytes: number;
  maxBlobs: number;
  /** Of the file system. */
  freeBytes: number;
  /** Removed since the start because of limits and age. */
  evictedBlobs: number;
  shared?: { directory: string; problem: string };
}

/** One download under way. */
interface Delivery {
  request: BlobRequest;
  source: BlobSource;
  signal: AbortSignal;
  emit: (event: DownloadEvent) => void;
  draft: Draft;
}

/** So often what is too old or too much is looked for. */
const tidyMs = 10 * 60_000;
/** After so many others have claimed a blob on the shared directory and not brought it, this node goes alone. */
const mostClaimsOfOthers = 2;

const silent: Log = { write: () => undefined };

/**
 * Blobs on this node, DIRECTORY/blobs/ALGORITHM/HEX, each complete and verified, and in DIRECTORY/origins who may
 * read them. A directory is used by one process alone, or by several that all share it; those may download the
 * same blob at the same time.
 */
export class BlobStore {
  // Both by keyOf.
  readonly #downloads = new SharedWork<DownloadEvent>();
  readonly #drafts = new Drafts();
  readonly #pins = new Pins();
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #census: Census;
  readonly #room: Room;
  readonly #counted: Promise<void>;
  readonly #tidying: NodeJS.Timeout;
  /** Copies to the shared directory. */
  readonly #copying = new Set<Promise<void>>();
  /** Drafts of which it is known whether they became blobs. */
  readonly #judged = new WeakSet<Draft>();
  readonly #closing = new AbortController();

  private constructor(
    private config: StoreConfig,
    private readonly lock: FileHandle,
    private readonly files: BlobFiles,
    private readonly provenance: Provenance,
    private readonly shared: SharedDirectory | undefined,
    isAlone: boolean,
  ) {
    this.#census = new Census(files);
    this.#room = new Room(
      {
        directory: config.directory,
        census: this.#census,
        find: (digest) => files.find(digest),
        isIdle: (digest) => !this.#pins.has(digest),
        remove: (blob) => this.#remove(blob),
      },
      config,
    );
    // What cannot be counted now is said when something is asked of the store.
    this.#counted = this.#count(isAlone).catch(() => undefined);
    this.#tidying = setInterval(() => void this.#tidy(), tidyMs).unref();
    void this.shared?.sweep();
  }

  /** Throws `start-refused` if the directory is in use or cannot serve as a store. */
  static async open(
    config: StoreConfig,
    use: 'alone' | 'shared' = 'alone',
    log: Log = silent,
  ): Promise<BlobStore> {
    const { directory } = config;
    let lock: FileHandle | undefined;
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      lock = await open(join(directory, 'lock'), 'a', 0o600);
      if (!addon.lockFile(lock.fd, use === 'alone')) {
        throw new StowageError(
          'start-refused',
          `the image store ${directory} is in use by another stowaged: stop that one, or set store.directory to another place`,
        );
      }
      const files = await BlobFiles.open(join(directory, 'blobs'));
      const provenance = await Provenance.open(join(directory, 'origins'));
      const shared = config.shared === undefined ? undefined : new SharedDirectory(config.shared, log);
      return new BlobStore(config, lock, files, provenance, shared, use === 'alone');
    } catch (error) {
      await lock?.close();
      if (error instanceof StowageError) throw error;
      throw new StowageError('start-refused', storeError(directory, error).message, { cause: error });
    }
  }

  get directory(): string {
    return this.config.directory;
  }

  /** What is being copied to the shared directory is given up. */
  async close(): Promise<void> {
    clearInterval(this.#tidying);
    this.#closing.abort(new Error('the store was closed'));
    await Promise.all([...this.#copying, this.#counted]);
    await this.lock.close();
  }

  /** Other limits from now on. Directories stay what they are until the next start. */
  update(config: StoreConfig): void {
    const { directory, shared } = this.config;
    this.config = { ...config, directory, shared };
    this.#room.update(config);
    void this.#tidy();
  }

  /** Whether a blob is here and was delivered from that scope. */
  async isReadable(digest: string, scope: string): Promise<boolean> {
    return (await this.#readable(digest, scope)) !== undefined;
  }

  /** The size of a blob that is here, otherwise undefined. Says nothing about who may know of it. */
  async sizeOf(digest: string): Promise<number | undefined> {
    return (await this.#guard(() => this.files.find(digest)))?.bytes;
  }

  /** A blob that callers of that scope may read, open for reading. The caller closes it. */
  async open({ digest, scope }: { digest: string; scope: string }): Promise<FileHandle> {
    const release = this.pin([digest]);
    try {
      const blob = await this.#readable(digest, scope);
      if (!blob) throw notHere(digest);
      return await this.#guard(() => this.files.open(digest));
    } catch (error) {
      throw storeError(this.directory, error);
    } finally {
      release();
    }
  }

  /** A blob in memory; undefined if callers of that scope may not read it, or if it is longer than `limitBytes`. */
  async read(digest: string, scope: string, limitBytes: number): Promise<Buffer | undefined> {
    const release = this.pin([digest]);
    try {
      if (((await this.#readable(digest, scope))?.bytes ?? Infinity) > limitBytes) return undefined;
      const file = await this.#guard(() => this.files.open(digest));
      try {
        return await file.readFile();
      } finally {
        await file.close();
      }
    } finally {
      release();
    }
  }

  /** Stores bytes that are in memory already, as delivered from that scope. */
  async put(digest: string, scope: string, bytes: Uint8Array): Promise<void> {
    const release = this.pin([digest]);
    try {
      if (await this.isReadable(digest, scope)) return;
      const request = { digest, size: bytes.length, scope };
      await this.#withRoom(request, async () => {
        const draft = Draft.open(dirname(this.files.path(digest)));
        try {
          await this.#fill(draft, request, [bytes], () => undefined);
        } finally {
          await draft.close();
        }
        await this.#grant(request);
      });
    } finally {
      release();
    }
  }

  /**
   * Makes files for those blobs that are not here, so that openGrowing has something to give before `ensure`
   * was called, and while it works. The caller calls what this returns when done. Undefined if nothing is
   * missing, or if it cannot be: that is no failure, `ensure` alone does as well.
   */
  async expect(requests: readonly BlobRequest[]): Promise<(() => Promise<void>) | undefined> {
    const missing = new Map<string, BlobRequest>();
    for (const request of requests) {
      const blob = await this.#readable(request.digest, request.scope);
      if (blob === undefined) missing.set(keyOf(request), request);
      else if (blob.bytes !== request.size) return undefined;
    }
    if (missing.size === 0 || !this.#drafts.hasRoomFor(missing.size)) return undefined;
    const leases: Lease[] = [];
    // A draft is published once: what was must not be removed while others go by it.
    const unpin = this.pin([...missing.values()].map(({ digest }) => digest));
    const release = async (): Promise<void> => {
      unpin();
      await Promise.all(leases.map((lease) => lease.release()));
    };
    try {
      for (const [key, { digest }] of missing)
        leases.push(this.#drafts.take(key, dirname(this.files.path(digest))));
      return release;
    } catch {
      // Short of descriptors or inodes. The download says so if it is short of them too.
      await release();
      return undefined;
    }
  }

  /**
   * A blob that is here or is expected, open for reading. It may still be shorter than it will be, and nothing
   * in it is verified. The caller closes it.
   */
  async openGrowing(request: BlobRequest): Promise<FileHandle> {
    const draft = this.#drafts.find(keyOf(request));
    return draft ? this.#guard(() => draft.openForReading()) : this.open(request);
  }

  /**
   * Makes a blob be here and readable for callers of its scope. However many of them ask at once, it is
   * downloaded once, from the source of one of them; the download stops when the last of them has gone. Returns
   * the bytes this call had to wait for.
   */
  async ensure(
    request: BlobRequest,
    source: BlobSource,
    caller: { signal: AbortSignal; onEvent: (event: DownloadEvent) => void },
  ): Promise<number> {
    const { digest, size, scope } = request;
    const key = keyOf(request);
    const release = this.pin([digest]);
    try {
      const blob = await this.#readable(digest, scope);
      if (blob && blob.bytes !== size) {
        throw new StowageError(
          'content-mismatch',
          `the manifest promises ${size} bytes for ${digest}, which has ${blob.bytes}; ask whoever built the image to build it again`,
        );
      }
      // Those who read a draft wait for its bytes, also if another way into the store was faster.
      if (blob && !this.#drafts.find(key)) return 0;
      const begun = { byUs: false };
      for (;;) {
        try {
          await this.#downloads.run(
            key,
            (signal, emit) => {
              begun.byUs = true;
              return this.#deliver(request, source, signal, emit);
            },
            caller,
          );
          return blob ? 0 : size;
        } catch (error) {
          // Whoever began it has left, and with it went what it had logged in with.
          if (!(error instanceof SessionClosed) || begun.byUs || caller.signal.aborted) throw error;
        }
      }
    } finally {
      release();
    }
  }

  /** Keeps these from being removed until what is returned is called. */
  pin(digests: readonly string[]): () => void {
    return this.#pins.take(digests);
  }

  usage(): StoreUsage {
    const { maxBytes, maxBlobs } = this.config;
    const { bytes, blobs } = this.#census;
    const { bavail, bsize } = statfsSync(this.directory);
    const { evictedBlobs } = this.#room;
    const usage = { bytes, blobs, maxBytes, maxBlobs, freeBytes: bavail * bsize, evictedBlobs };
    if (!this.shared) return usage;
    const { directory, problem } = this.shared;
    return { ...usage, shared: { directory, problem } };
  }

  /** Removes all blobs that are not in `keep` and that nothing needs now, or only counts them. */
  async removeAllBut(
    keep: Pick<ReadonlySet<string>, 'has'>,
    dryRun: boolean,
  ): Promise<{ blobs: number; bytes: number }> {
    return this.#guard(async () => {
      await this.#counted;
      const removed = { blobs: 0, bytes: 0 };
      await this.#census.take(async (blob) => {
        if (keep.has(blob.digest) || this.#pins.has(blob.digest)) return;
        if (!dryRun) await this.#remove(blob);
        removed.blobs++;
        removed.bytes += blob.bytes;
      });
      return removed;
    });
  }

  /** Does the same, and takes as long, whether a blob is here or not. */
  async #readable(digest: string, scope: string): Promise<StoredBlob | undefined> {
    const [blob, scopes] = await this.#find(digest);
    if (!blob || !scopes.has(scope)) return undefined;
    await this.files.noteUse(blob);
    return blob;
  }

  async #find(digest: string): Promise<[StoredBlob | undefined, Set<string>]> {
    await this.#leaving.get(digest);
    return this.#guard(() => Promise.resolve([this.files.look(digest), this.provenance.scopesOf(digest)]));
  }

  /** Brings a blob from wherever it is nearest, for callers of the request's scope. */
  async #deliver(
    request: BlobRequest,
    source: BlobSource,
    signal: AbortSignal,
    emit: (event: DownloadEvent) => void,
  ): Promise<void> {
    const { digest, size, scope } = request;
    const [blob, scopes] = await this.#find(digest);
    if (blob?.bytes === size && (scopes.has(scope) || haveRegistryOf(scope, scopes))) {
      if (!scopes.has(scope)) await source.probe(signal, (waiting) => emit({ waiting }));
      // Only somebody who reads the draft needs the bytes once more.
      if (this.#drafts.find(keyOf(request))) {
        await this.#withDraft(request, source, signal, emit, (delivery) =>
          this.#fillFrom(delivery, this.#readAgain(digest)),
        );
      }
      await this.#grant(request);
    } else {
      await this.#withDraft(request, source, signal, emit, (delivery) => this.#download(delivery));
    }
  }

  async #withDraft(
    request: BlobRequest,
    source: BlobSource,
    signal: AbortSignal,
    emit: (event: DownloadEvent) => void,
    work: (delivery: Delivery) => Promise<void>,
  ): Promise<void> {
    await this.#withRoom(request, async (progressed) => {
      const { draft, release } = this.#drafts.take(keyOf(request), dirname(this.files.path(request.digest)));
      const tell = (event: DownloadEvent): void => {
        if ('doneBytes' in event) progressed(event.doneBytes);
        emit(event);
      };
      try {
        await work({ request, source, signal, emit: tell, draft });
      } finally {
        await release();
      }
    });
  }

  /** From the shared directory if it is there, otherwise from the registry. */
  async #download(delivery: Delivery): Promise<void> {
    const { request } = delivery;
    const found = await this.#throughShared(delivery);
    if (found === 'here') return;
    try {
      while (!(await this.#fillFromSource(delivery)));
      await this.#grant(request);
    } catch (error) {
      await found?.release();
      throw error;
    }
    this.#copyToShared(request, found);
  }

  /** Returns false if the bytes were wrong and may be right if asked for once more. */
  async #fillFromSource(delivery: Delivery): Promise<boolean> {
    const { request, source, signal, emit } = delivery;
    try {
      await this.#fillFrom(
        delivery,
        source.bytes(signal, (waiting) => emit({ waiting })),
      );
      return true;
    } catch (error) {
      const isWrong = error instanceof StowageError && error.code === 'content-mismatch';
      if (!isWrong || !source.distrust()) throw error;
      emit({
        waiting: `a mirror sent wrong bytes for ${request.digest}; downloading it again without that mirror`,
      });
      return false;
    }
  }

  /**
   * Looks in the shared directory, and waits there while another node downloads the blob. Returns 'here' when it
   * came from there; else it has to be downloaded, with this node's claim if there is one.
   */
  async #throughShared(delivery: Delivery): Promise<Claim | 'here' | undefined> {
    const { shared } = this;
    const { request, signal, emit } = delivery;
    if (!shared) return undefined;
    for (let others = 0; others < mostClaimsOfOthers; others++) {
      if (await this.#fillFromShared(shared, delivery)) return 'here';
      const claim = await shared.claim(keyOf(request), signal, () =>
        emit({ waiting: 'another node is downloading it' }),
      );
      if (claim) {
        // Between the look and the claim another node may have come to its end.
        try {
          if (!(await this.#fillFromShared(shared, delivery))) return claim;
        } catch (error) {
          await claim.release();
          throw error;
        }
        await claim.release();
        return 'here';
      }
      if (shared.problem !== '') return undefined;
    }
    return (await this.#fillFromShared(shared, delivery)) ? 'here' : undefined;
  }

  /** Returns whether the blob was there, right, and for callers of this scope. */
  async #fillFromShared(shared: SharedDirectory, delivery: Delivery): Promise<boolean> {
    const { request, source, signal, emit } = delivery;
    const { digest, size, scope } = request;
    const blob = await shared.find(digest, size);
    if (!blob) return false;
    if (!blob.scopes.has(scope)) {
      if (!haveRegistryOf(scope, blob.scopes)) return false;
      await source.probe(signal, (waiting) => emit({ waiting }));
    }
    emit({ waiting: '' });
    try {
      await this.#fillFrom(delivery, abortable(ofShared(blob.bytes), signal));
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof StowageError && error.code === 'content-mismatch') await shared.setAside(digest);
      else if (error instanceof SharedFailed) shared.failed(error.cause);
      else throw error;
      return false;
    }
    await this.#grant(request);
    if (!blob.scopes.has(scope)) await shared.grant(digest, scope);
    return true;
  }

  /** In the background: whoever wanted the blob on this node has it. */
  #copyToShared(request: BlobRequest, claim: Claim | undefined): void {
    const { shared } = this;
    if (!shared) return;
    const release = this.pin([request.digest]);
    const copying = shared
      .publish(request, abortable(this.#readAgain(request.digest), this.#closing.signal))
      .catch(() => undefined)
      .then(() => claim?.release())
      .finally(() => {
        release();
        this.#copying.delete(copying);
      });
    this.#copying.add(copying);
  }

  #fillFrom({ draft, request, emit }: Delivery, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#fill(draft, request, bytes, (doneBytes) => emit({ doneBytes }));
  }

  async #fill(
    draft: Draft,
    { digest, size }: BlobRequest,
    bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    onProgress: (doneBytes: number) => void,
  ): Promise<void> {
    const arrived = this.#census.coming(digest, size);
    let isNew = false;
    try {
      await draft.fill(this.files.path(digest), { digest, size }, bytes, onProgress);
      if (this.#judged.has(draft)) return;
      this.#judged.add(draft);
      // If somebody else's file has the name, that one was counted when it came.
      isNew = draft.isPublished;
    } finally {
      arrived(isNew);
    }
  }

  /**
   * Notes who may read what was verified, and makes room for that if it must. A blob that nobody may read is of no
   * use; it is then not brought once more, as its draft was used up.
   */
  async #grant({ digest, scope }: BlobRequest): Promise<void> {
    try {
      await this.provenance.add(digest, scope).catch(async (error: unknown) => {
        if (!isFull(error) || !(await this.#room.clear(0))) throw error;
        await this.provenance.add(digest, scope);
      });
    } catch (error) {
      const [blob, scopes] = await this.#find(digest);
      if (blob && scopes.size === 0) await this.#remove(blob).catch(() => undefined);
      const { code, message } = storeError(this.directory, error);
      throw new StowageError(code, message);
    }
  }

  /**
   * Does what needs room for one more blob. If the file system runs out of space or inodes all the same, other
   * blobs are removed and it is done once more.
   */
  async #withRoom(
    { digest, size }: BlobRequest,
    work: (progressed: (doneBytes: number) => void) => Promise<void>,
  ): Promise<void> {
    await this.#guard(async () => {
      const { maxBytes, maxBlobs } = this.config;
      if (maxBytes > 0 || maxBlobs > 0) await this.#counted;
      // A blob that is here already, of somebody else, takes the place of this one when all has come.
      const isHere = this.files.look(digest) !== undefined;
      const reservation = await this.#room.reserve(digest, size, isHere);
      const attempt = (): Promise<void> => work((doneBytes) => (reservation.doneBytes = doneBytes));
      try {
        await attempt().catch(async (error: unknown) => {
          if (!isFull(error)) throw error;
          reservation.doneBytes = 0;
          if (!(await this.#room.clear(size))) throw error;
          await attempt();
        });
      } finally {
        reservation.release();
      }
    });
  }

  async #remove(blob: StoredBlob): Promise<void> {
    const { digest } = blob;
    const removing = (async () => {
      if (await this.files.remove(digest)) this.#census.went(digest, blob.bytes);
      await this.provenance.forget(digest);
    })();
    const settled = removing.catch(() => undefined).finally(() => this.#leaving.delete(digest));
    this.#leaving.set(digest, settled);
    await removing;
  }

  /**
   * Counts what is here. A store of this process alone is rid of what a crash left: blobs that nobody may read,
   * and what is said about blobs that are not here.
   */
  async #count(isAlone: boolean): Promise<void> {
    const { signal } = this.#closing;
    if (isAlone) await this.files.tidy();
    await this.#census.take(async ({ digest }) => {
      if (isAlone && !this.provenance.has(digest)) await this.#removeUnknown(digest);
    }, signal);
    let told = 0;
    if (isAlone && !signal.aborted) for await (const _ of this.provenance.list()) told++;
    if (told <= this.#census.blobs) return;
    for await (const digest of this.provenance.list()) {
      if (signal.aborted) return;
      if ((await this.files.find(digest)) === undefined) await this.#removeUnknown(digest);
    }
  }

  async #removeUnknown(digest: string): Promise<void> {
    const [blob, scopes] = await this.#find(digest);
    // What is being written just now is pinned.
    if ((blob && scopes.size > 0) || this.#pins.has(digest)) return;
    await this.#remove(blob ?? { digest, bytes: 0, usedAtMs: 0 });
  }

  async #tidy(): Promise<void> {
    await this.#counted;
    await this.#room.tidy().catch(() => undefined);
    await this.shared?.sweep();
  }

  async *#readAgain(digest: string): AsyncGenerator<Uint8Array> {
    const file = await this.#guard(() => this.files.open(digest));
    try {
      yield* file.createReadStream({ autoClose: false }) as AsyncIterable<Uint8Array>;
    } finally {
      await file.close();
    }
  }

  /** Does something with the store's files, and says it in words if the system refuses. */
  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (systemErrorCode(error) === undefined || error instanceof StowageError) throw error;
      throw storeError(this.directory, error);
    }
  }
}

/** By scope too, so that nobody can make others wait for a slow registry of their own choice. */
function keyOf({ scope, digest, size }: BlobRequest): string {
  return `${scope} ${digest} ${size}`;
}

function notHere(digest: string): Error {
  return Object.assign(new Error(`ENOENT: no blob ${digest} for this image`), { code: 'ENOENT' });
}

function isFull(error: unknown): boolean {
  const code = systemErrorCode(error) ?? (error instanceof Error ? systemErrorCode(error.cause) : undefined);
  return code === 'ENOSPC' || code === 'EDQUOT';
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

async function* abortable(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    signal.throwIfAborted();
    yield chunk;
  }
}
