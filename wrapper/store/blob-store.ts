import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { closeSync } from 'node:fs';
import { join } from 'node:path';

import { addon } from '../addon/addon.js';
import { StowageError, systemErrorCode } from '../error.js';
import { algorithms, isDigest, splitDigest } from '../image/digest.js';
import { writeBlob } from './blob-writer.js';
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
  // By origin too, so that nobody can make others wait for a slow registry of their own choice.
  readonly #downloads = new SharedWork<DownloadEvent>();

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
    await this.#write({ digest, size: bytes.length }, [bytes], () => undefined);
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
    const { digest, size, origin } = request;
    const present = await this.sizeOf(digest);
    if (present !== undefined) {
      if (present === size) return 0;
      throw new StowageError(
        'content-mismatch',
        `the manifest promises ${size} bytes for ${digest}, which has ${present}; ask whoever built the image to push it again`,
      );
    }
    await this.#downloads.run(
      `${origin} ${digest} ${size}`,
      async (signal, emit) => {
        const bytes = fetch(signal, (waiting) => emit({ waiting }));
        await this.#write(request, bytes, (doneBytes) => emit({ doneBytes }));
      },
      caller,
    );
    return size;
  }

  async #write(
    blob: { digest: string; size: number },
    bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    onProgress: (doneBytes: number) => void,
  ): Promise<void> {
    try {
      await writeBlob(this.#path(blob.digest), blob, bytes, onProgress);
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
