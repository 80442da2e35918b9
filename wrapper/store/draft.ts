import { close, closeSync, fstatSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

import { addon } from '../addon/addon.js';
import { publish, settle, writeBlob } from './blob-writer.js';
import type { Settling } from './settling.js';
import { syncDirectory } from './sync-directory.js';

const closeDescriptor = promisify(close);

/** How a blob is put on the disk after it was published. */
export interface Later {
  settling: Settling;
  /** The disk did not take it. Never rejects. */
  lost: (error: unknown) => Promise<void>;
}

/**
 * The file of a blob before it is complete. It has no name until then: whatever happens, nothing is left over.
 * It may be read while it grows, by who verifies what is read.
 */
export class Draft {
  #complete = false;
  #lastAttempt: Promise<void> = Promise.resolve();

  private constructor(private readonly fd: number) {}

  /** In the directory where the blob will be published. The system's error if there is no room for a file. */
  static open(directory: string): Draft {
    return new Draft(addon.openTemporary(directory));
  }

  /**
   * Writes the blob from its first byte and publishes it as `path`; see writeBlob. With `later` it is put on the
   * disk later, and `lost` hears if that fails; otherwise before it is published. Nothing is done if that was
   * done already. An attempt waits for the end of the one before: two writers could each spoil what the other
   * has verified. The file is never cut, as readers may be further than the writer who begins anew.
   */
  async fill(
    path: string,
    expected: { digest: string; size: number },
    bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    onProgress: (doneBytes: number) => void,
    later?: Later,
  ): Promise<void> {
    const before = this.#lastAttempt;
    const attempt = (async () => {
      await before;
      if (this.#complete) return;
      await writeBlob(this.fd, expected, bytes, onProgress, later ? 'later' : 'now');
      publish(this.fd, path);
      if (!later) await syncDirectory(dirname(path));
      this.#complete = true;
      // If somebody else's file has the name, nobody needs this one.
      if (later && this.isPublished) await later.settling.add(() => settle(path).catch(later.lost));
    })();
    this.#lastAttempt = attempt.catch(() => undefined);
    await attempt;
  }

  /**
   * Another descriptor of the file, for reading only. The caller closes it, and keeps the draft open until this has
   * resolved: its number may be that of another file afterwards.
   */
  openForReading(): Promise<FileHandle> {
    return open(`/proc/self/fd/${this.fd}`, 'r');
  }

  /** Whether it was this file that became the blob, and not the one of somebody else. */
  get isPublished(): boolean {
    return fstatSync(this.fd).nlink > 0;
  }

  async close(): Promise<void> {
    if (this.isPublished) closeSync(this.fd);
    // What has no name is removed thereby, which takes time if it is large.
    else await closeDescriptor(this.fd);
  }
}
