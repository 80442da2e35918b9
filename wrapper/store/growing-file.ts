import { fdatasync, fsync } from 'node:fs';
import { promisify } from 'node:util';

import type { DigestWriter } from '../addon/addon.js';
import { readMemory } from '../registry/read-memory.js';

const syncData = promisify(fdatasync);
const syncFile = promisify(fsync);

/** What may wait to be written, of memory: a chunk may be a small part of what it holds. */
const mostWaitingBytes = 2 * 1024 * 1024;

/**
 * Writes a file from its beginning, in order, while the next bytes are on their way: what comes during one write goes
 * with the next. Who reads the file while it grows waits for no buffer to fill.
 */
export class GrowingFile {
  #waiting: Uint8Array[] = [];
  #heldBytes = 0;
  #writtenBytes = 0;
  #syncedBytes = 0;
  /** All that waits, and what is in the file soon. */
  #writing: Promise<void> = Promise.resolve();
  #oneWrite: Promise<void> = Promise.resolve();
  #syncing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #isSyncing = false;
  #failure: { error: unknown } | undefined;

  /**
   * `writer` is that of the same file; `onProgress` hears how many bytes are in it. After each `syncEveryBytes` the disk
   * begins, so that no more than about those are left when all is written.
   */
  constructor(
    private readonly fd: number,
    private readonly writer: DigestWriter,
    private readonly onProgress: (writtenBytes: number) => void,
    private readonly syncEveryBytes: number,
  ) {}

  /**
   * Takes bytes to be written; they must not be changed any more, and pieces of readMemory are given back. Resolves
   * when more may come. Throws the system's error if these or earlier ones could not be written.
   */
  async append(bytes: Uint8Array): Promise<void> {
    this.#throwFailure();
    this.#waiting.push(bytes);
    this.#heldBytes += bytes.buffer.byteLength;
    if (!this.#isWriting) this.#writing = this.#write();
    while (this.#heldBytes >= mostWaitingBytes && !this.#failure) await this.#oneWrite.catch(() => undefined);
    this.#throwFailure();
  }

  /** Resolves when everything is in the file, though perhaps not on the disk. */
  async flush(): Promise<void> {
    await this.#writing;
    this.#throwFailure();
  }

  /** Resolves when all that is in the file is on the disk. */
  async sync(): Promise<void> {
    await this.settle();
    this.#throwFailure();
    await syncFile(this.fd);
  }

  /**
   * Resolves when nothing is done to the file any more, whether it succeeded or not; its descriptor must not be closed
   * before.
   */
  async settle(): Promise<void> {
    await this.#writing;
    await this.#syncing;
  }

  /** Until nothing waits. Never rejects: the failure is kept for whoever comes next. */
  async #write(): Promise<void> {
    this.#isWriting = true;
    try {
      while (this.#waiting.length > 0) {
        const buffers = this.#waiting.splice(0);
        const bytes = buffers.reduce((sum, { length }) => sum + length, 0);
        this.#heldBytes -= buffers.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
        this.#oneWrite = this.writer.append(buffers);
        await this.#oneWrite;
        this.#writtenBytes += bytes;
        for (const each of buffers) readMemory.giveBack(each);
        this.onProgress(this.#writtenBytes);
        if (!this.#isSyncing && this.#writtenBytes - this.#syncedBytes >= this.syncEveryBytes)
          this.#syncing = this.#sync();
      }
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      this.#isWriting = false;
    }
  }

  async #sync(): Promise<void> {
    this.#isSyncing = true;
    this.#syncedBytes = this.#writtenBytes;
    try {
      await syncData(this.fd);
    } catch (error) {
      // Linux tells of a page that could not be written once only: it must not be lost.
      this.#failure ??= { error };
    } finally {
      this.#isSyncing = false;
    }
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
