import { statfsSync } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { addon } from '../addon/addon.js';
import type { StoreConfig } from '../config/config.js';
import { StowageError } from '../error.js';
import { SessionClosed } from '../registry/session.js';
import type { Log } from '../telemetry/log.js';
import { BlobFiles } from './blob-files.js';
import { BootRecord } from './boot.js';
import { type BlobRequest, type BlobSource, type DownloadEvent, keyOf } from './blob-request.js';
import { Deliveries } from './deliveries.js';
import { Drafts, type Lease } from './drafts.js';
import { storeError } from './error.js';
import { Intake } from './intake.js';
import { Inventory } from './inventory.js';
import { Provenance } from './provenance.js';
import { Settling } from './settling.js';
import { SharedDirectory } from './shared-directory.js';
import { SharedSupply } from './shared-supply.js';
import { SharedWork } from './shared-work.js';
import { Shelf } from './shelf.js';

export type { BlobRequest, BlobSource, DownloadEvent } from './blob-request.js';

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

/** So often what is too old or too much is looked for. */
const tidyMs = 10 * 60_000;

const silent: Log = { write: () => undefined };

/**
 * Blobs on this node, DIRECTORY/blobs/ALGORITHM/HEX, each complete and verified, and in DIRECTORY/origins who may
 * read them. A directory is used by one process alone, or by several that all share it; those may download the
 * same blob at the same time.
 */
export class BlobStore {
  // All by keyOf.
  readonly #puts = new SharedWork<never>();
  readonly #downloads = new SharedWork<DownloadEvent>();
  readonly #drafts = new Drafts();
  readonly #inventory: Inventory;
  readonly #intake: Intake;
  readonly #supply: SharedSupply | undefined;
  readonly #deliveries: Deliveries;
  readonly #tidying: NodeJS.Timeout;
  /** Where another process may use the directory, perhaps on another node, blobs are on the disk at once. */
  readonly #settling: Settling | undefined;

  private constructor(
    private config: StoreConfig,
    private readonly lock: FileHandle,
    private readonly shelf: Shelf,
    private readonly shared: SharedDirectory | undefined,
    log: Log,
    isAlone: boolean,
  ) {
    if (isAlone) this.#settling = new Settling();
    this.#inventory = new Inventory(shelf, isAlone);
    this.#intake = new Intake(shelf, this.#inventory, config, log, this.#settling);
    this.#supply = shared && new SharedSupply(shared, shelf, this.#intake);
    this.#deliveries = new Deliveries(shelf, this.#intake, this.#drafts, this.#supply);
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
      if (use === 'alone') await removeUnsettled(directory, files);
      const provenance = await Provenance.open(join(directory, 'origins'));
      const shared = config.shared === undefined ? undefined : new SharedDirectory(config.shared, log);
      const shelf = new Shelf(directory, files, provenance);
      return new BlobStore(config, lock, shelf, shared, log, use === 'alone');
    } catch (error) {
      await lock?.close();
      if (error instanceof StowageError) throw error;
      throw new StowageError('start-refused', storeError(directory, error).message, { cause: error });
    }
  }

  get directory(): string {
    return this.config.directory;
  }

  /** Waits for the disk. What is being copied to the shared directory is given up. */
  async close(): Promise<void> {
    clearInterval(this.#tidying);
    await Promise.all([this.#supply?.close(), this.#inventory.close(), this.#settling?.end()]);
    await this.lock.close();
  }

  /** Other limits from now on. Directories stay what they are until the next start. */
  update(config: StoreConfig): void {
    const { directory, shared } = this.config;
    this.config = { ...config, directory, shared };
    this.#intake.update(config);
    void this.#tidy();
  }

  /** Whether a blob is here and was delivered from that scope. */
  async isReadable(digest: string, scope: string): Promise<boolean> {
    return (await this.shelf.readable(digest, scope)) !== undefined;
  }

  /** The size of a blob that is here, otherwise undefined. Says nothing about who may know of it. */
  async sizeOf(digest: string): Promise<number | undefined> {
    return (await this.shelf.guard(() => this.shelf.files.find(digest)))?.bytes;
  }

  /** A blob that callers of that scope may read, open for reading. The caller closes it. */
  async open({ digest, scope }: { digest: string; scope: string }): Promise<FileHandle> {
    const release = this.pin([digest]);
    try {
      const blob = await this.shelf.readable(digest, scope);
      if (!blob) throw notHere(digest);
      return await this.shelf.open(digest);
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
      if (((await this.shelf.readable(digest, scope))?.bytes ?? Infinity) > limitBytes) return undefined;
      const file = await this.shelf.open(digest);
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
      await this.#puts.run(keyOf(request), () => this.#intake.put(request, bytes), {
        signal: new AbortController().signal,
        onEvent: () => undefined,
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
      const blob = await this.shelf.readable(request.digest, request.scope);
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
        leases.push(this.#drafts.take(key, dirname(this.shelf.files.path(digest))));
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
    const held = this.#drafts.hold(keyOf(request));
    if (!held) return this.open(request);
    try {
      return await this.shelf.guard(() => held.draft.openForReading());
    } finally {
      await held.release();
    }
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
      const blob = await this.shelf.readable(digest, scope);
      if (blob && blob.bytes !== size) {
        throw new StowageError(
          'content-mismatch',
          `the manifest promises ${size} bytes for ${digest}, which has ${blob.bytes}; ask whoever built the image to build it again`,
        );
      }
      // Those who read a draft wait for its bytes, also if another way into the store was faster.
      if (blob && !this.#drafts.has(key)) return 0;
      const begun = { byUs: false };
      for (;;) {
        try {
          await this.#downloads.run(
            key,
            (signal, emit) => {
              begun.byUs = true;
              return this.#deliveries.deliver(request, source, signal, emit);
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
    return this.shelf.pins.take(digests);
  }

  usage(): StoreUsage {
    const { maxBytes, maxBlobs } = this.config;
    const { bytes, blobs } = this.shelf.census;
    const { bavail, bsize } = statfsSync(this.directory);
    const { evictedBlobs } = this.#intake;
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
    return this.#inventory.removeAllBut(keep, dryRun);
  }

  async #tidy(): Promise<void> {
    await this.#intake.tidy();
    await this.shared?.sweep();
  }
}

/** What is not settled can be trusted as long as the machine runs; decision 0027. */
async function removeUnsettled(directory: string, files: BlobFiles): Promise<void> {
  const boot = new BootRecord(directory);
  if (boot.isThisBoot()) return;
  await files.removeUnsettled();
  await boot.note();
}

function notHere(digest: string): Error {
  return Object.assign(new Error(`ENOENT: no blob ${digest} for this image`), { code: 'ENOENT' });
}
