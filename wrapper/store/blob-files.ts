import { closeSync, type Stats, statSync } from 'node:fs';
import { type FileHandle, mkdir, open, opendir, rm, stat, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';

import { addon } from '../addon/addon.js';
import { StowageError, systemErrorCode } from '../error.js';
import { type Algorithm, algorithms, isDigest, splitDigest } from '../image/digest.js';
import { settledMode } from './blob-writer.js';

/** How exact the time of the last use is: it is not written more often. */
const useStepMs = 60_000;

export interface StoredBlob {
  digest: string;
  bytes: number;
  /** By the clock of this node. */
  usedAtMs: number;
}

/**
 * The files of complete blobs, DIRECTORY/ALGORITHM/HEX. The time of a file's last change says when the blob was
 * last used, to the minute. Throws the system's errors.
 */
export class BlobFiles {
  private constructor(private readonly directory: string) {}

  /** Throws `start-refused` too, if the file system is of no use. */
  static async open(directory: string): Promise<BlobFiles> {
    const files = new BlobFiles(directory);
    for (const algorithm of algorithms) {
      const shelf = join(directory, algorithm);
      await mkdir(shelf, { recursive: true, mode: 0o700 });
      proveTemporary(shelf);
    }
    return files;
  }

  path(digest: string): string {
    const { algorithm, hex } = splitDigest(digest);
    return join(this.directory, algorithm, hex);
  }

  /** Undefined if it is not here. At once, which takes less time than to hand it to another thread. */
  look(digest: string): StoredBlob | undefined {
    const status = statSync(this.path(digest), { throwIfNoEntry: false });
    return status && storedBlob(digest, status);
  }

  /** The same without keeping others waiting, for who looks at very many. */
  async find(digest: string): Promise<StoredBlob | undefined> {
    try {
      return storedBlob(digest, await stat(this.path(digest)));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  open(digest: string): Promise<FileHandle> {
    return open(this.path(digest), 'r');
  }

  /** The digests of all blobs of one algorithm, a few at a time: there may be very many. */
  async *list(algorithm: Algorithm): AsyncGenerator<string> {
    for await (const entry of await opendir(join(this.directory, algorithm), { bufferSize: 512 })) {
      const digest = `${algorithm}:${entry.name}`;
      if (entry.isFile() && isDigest(digest)) yield digest;
    }
  }

  /**
   * Removes blobs of which the disk may not have all: the machine stopped before they were settled, and nobody looked
   * at their bytes since.
   */
  async removeUnsettled(): Promise<void> {
    for (const algorithm of algorithms) {
      for await (const digest of this.list(algorithm)) {
        const { mode } = await stat(this.path(digest));
        if ((mode & 0o777) !== settledMode) await unlink(this.path(digest));
      }
    }
  }

  /** Removes what is no blob; nothing of a process that is running. */
  async tidy(): Promise<void> {
    for (const algorithm of algorithms) {
      const shelf = join(this.directory, algorithm);
      for await (const entry of await opendir(shelf, { bufferSize: 512 })) {
        if (!entry.isFile() || !isDigest(`${algorithm}:${entry.name}`))
          await rm(join(shelf, entry.name), { recursive: true, force: true });
      }
    }
  }

  /** Whoever has it open can go on reading. Returns whether it was here. */
  async remove(digest: string): Promise<boolean> {
    try {
      await unlink(this.path(digest));
      return true;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  async noteUse({ digest, usedAtMs }: StoredBlob): Promise<void> {
    const now = Date.now();
    if (Math.abs(now - usedAtMs) < useStepMs) return;
    // That it cannot be noted is no reason not to use it.
    await utimes(this.path(digest), now / 1000, now / 1000).catch(() => undefined);
  }
}

function storedBlob(digest: string, { size, mtimeMs }: Stats): StoredBlob {
  return { digest, bytes: size, usedAtMs: mtimeMs };
}

function proveTemporary(shelf: string): void {
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
}
