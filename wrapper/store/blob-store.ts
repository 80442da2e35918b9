import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { closeSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { addon } from '../addon/addon.js';
import { StowageError, systemErrorCode } from '../error.js';
import { algorithms, isDigest, splitDigest } from '../image/digest.js';
import { Draft } from './draft.js';
import { Drafts, type Lease } from './drafts.js';
import { storeError } from './error.js';
import { SharedWork } from './shared-work.js';

export interface BlobRequest {
  digest: string;
  size: number;
  /** Where the bytes come from, such as "localhost:5000": only callers of one origin share a download. */
  origin: string;
}

/** What a download reports: bytes so far, or a sentence on why nothing moves. */
export type DownloadEvent = { doneBytes: number } | { waiting: string };

/** Yields the bytes of a blob from the first to the last. */
export type Fetch = (signal: AbortSignal, onWait: (sentence: string) => void) => AsyncIterable<Uint8Array>;

/**
 * Blobs on this node, DIRECTORY/blobs/ALGORITHM/HEX, each complete and verified. A directory is used by one
 * process alone, or by several that all share it; those may download the same blob at the same time.
 */
export class BlobStore {
  // Both by keyOf.
  readonly #downloads = new SharedWork<DownloadEvent>();
  readonly #drafts = new Drafts();

  private constructor(
    readonly directory: string,
    private readonly lock: FileHandle,
  ) {}

  /** Throws `start-refused` if the directory is in use or cannot serve as a store. */
  static async open(directory: string, use: 'alone' | 'shared' = 'alone'): Promise<BlobStore> {
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
      for (const algorithm of algorithms)
        await openShelf(join(directory, 'blobs', algorithm), algorithm, use);
      return new BlobStore(directory, lock);
    } catch (error) {
      await lock?.close();
      if (error instanceof StowageError) throw error;
      throw new StowageError('start-refused', storeError(directory, error).message, { cause: error });
    }
  }

  async close(): Promise<void> {
    await this.lock.close();
  }

  /** The size of a blob that is here, otherwise undefined. */
  async sizeOf(digest: string): Promise<number | undefined> {
    try {
      return (await stat(this.#path(digest))).size;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw storeError(this.directory, error);
    }
  }

  /** A blob that is here, open for reading. The caller closes it. */
  async open(digest: string): Promise<FileHandle> {
    try {
      return await open(this.#path(digest), 'r');
    } catch (error) {
      throw storeError(this.directory, error);
    }
  }

  /** A blob that is here, in memory; undefined if it is not here or is longer than `limitBytes`. */
  async read(digest: string, limitBytes: number): Promise<Buffer | undefined> {
    if (((await this.sizeOf(digest)) ?? Infinity) > limitBytes) return undefined;
    const file = await this.open(digest);
    try {
      return await file.readFile();
    } finally {
      await file.close();
    }
  }

  /** Stores bytes that are in memory already. */
  async put(digest: string, bytes: Uint8Array): Promise<void> {
    if ((await this.sizeOf(digest)) !== undefined) return;
    await this.#guard(async () => {
      const path = this.#path(digest);
      const draft = Draft.open(dirname(path));
      try {
        await draft.fill(path, { digest, size: bytes.length }, [bytes], () => undefined);
      } finally {
        await draft.close();
      }
    });
  }

  /**
   * Makes files for those blobs that are not here, so that openGrowing has something to give before `ensure`
   * was called, and while it works. The caller calls what this returns when done. Undefined if nothing is
   * missing, or if it cannot be: that is no failure, `ensure` alone does as well.
   */
  async expect(requests: readonly BlobRequest[]): Promise<(() => Promise<void>) | undefined> {
    const missing = new Map<string, BlobRequest>();
    for (const request of requests) {
      const present = await this.sizeOf(request.digest);
      if (present === undefined) missing.set(keyOf(request), request);
      else if (present !== request.size) return undefined;
    }
    if (missing.size === 0 || !this.#drafts.hasRoomFor(missing.size)) return undefined;
    const leases: Lease[] = [];
    const release = async (): Promise<void> => {
      await Promise.all(leases.map((lease) => lease.release()));
    };
    try {
      for (const [key, { digest }] of missing)
        leases.push(this.#drafts.take(key, dirname(this.#path(digest))));
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
    return draft ? this.#guard(() => draft.openForReading()) : this.open(request.digest);
  }

  /**
   * Makes a blob be here. However many ask at once, it is downloaded once; the download stops when the
   * last of them has gone. Returns the bytes this call had to wait for.
   */
  async ensure(
    request: BlobRequest,
    fetch: Fetch,
    caller: { signal: AbortSignal; onEvent: (event: DownloadEvent) => void },
  ): Promise<number> {
    const { digest, size } = request;
    const key = keyOf(request);
    const present = await this.sizeOf(digest);
    if (present !== undefined && present !== size) {
      throw new StowageError(
        'content-mismatch',
        `the manifest promises ${size} bytes for ${digest}, which has ${present}; ask whoever built the image to build it again`,
      );
    }
    // If another origin was faster, those who read this one's draft wait for its bytes all the same.
    if (present !== undefined && !this.#drafts.find(key)) return 0;
    const source = present === undefined ? fetch : () => this.#readAgain(digest);
    await this.#downloads.run(
      key,
      (signal, emit) =>
        this.#guard(async () => {
          const { draft, release } = this.#drafts.take(key, dirname(this.#path(digest)));
          try {
            const bytes = source(signal, (waiting) => emit({ waiting }));
            await draft.fill(this.#path(digest), request, bytes, (doneBytes) => emit({ doneBytes }));
          } finally {
            await release();
          }
        }),
      caller,
    );
    return present === undefined ? size : 0;
  }

  async *#readAgain(digest: string): AsyncGenerator<Uint8Array> {
    const file = await this.open(digest);
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

  #path(digest: string): string {
    const { algorithm, hex } = splitDigest(digest);
    return join(this.directory, 'blobs', algorithm, hex);
  }
}

/** By origin too, so that nobody can make others wait for a slow registry of their own choice. */
function keyOf({ origin, digest, size }: BlobRequest): string {
  return `${origin} ${digest} ${size}`;
}

/** Makes the directory of one algorithm, proves that it can hold blobs and, if alone, removes what is none. */
async function openShelf(shelf: string, algorithm: string, use: 'alone' | 'shared'): Promise<void> {
  await mkdir(shelf, { recursive: true, mode: 0o700 });
  try {
    closeSync(addon.openTemporary(shelf));
  } catch (error) {
    if (!['EOPNOTSUPP', 'EISDIR', 'ENOENT'].includes(systemErrorCode(error) ?? '')) throw error;
    throw new StowageError(
      'start-refused',
      `${shelf} is on a file system without O_TMPFILE: put store.directory on ext4, xfs, btrfs or tmpfs`,
      { cause: error },
    );
  }
  if (use === 'shared') return;
  for (const entry of await readdir(shelf, { withFileTypes: true })) {
    if (entry.isFile() && isDigest(`${algorithm}:${entry.name}`)) continue;
    await rm(join(shelf, entry.name), { recursive: true, force: true });
  }
}
