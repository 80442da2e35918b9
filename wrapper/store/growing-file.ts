import { fdatasync, writev } from 'node:fs';
import { promisify } from 'node:util';

import type { Digest } from '../addon/addon.js';

const writeBuffers = promisify(writev);
const syncData = promisify(fdatasync);

/** What may wait in memory to be written. */
const mostWaitingBytes = 1024 * 1024;

/** So that little is left to be waited for when all is written, the disk begins after each of these. */
const syncEveryBytes = 32 * 1024 * 1024;

/** writev(2): IOV_MAX. */
const mostBuffers = 1024;

/**
 * Writes a file from its beginning, in order, while the next bytes are on their way: what comes during one write goes
 * with the next. Who reads the file while it grows waits for no buffer to fill.
 */
export class GrowingFile {
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writtenBytes = 0;
  #syncedBytes = 0;
  /** All that waits; one writev of it. */
  #writing: Promise<void> = Promise.resolve();
  #oneWrite: Promise<void> = Promise.resolve();
  #syncing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #isSyncing = false;
  #failure: { error: unknown } | undefined;

  /** `digest` is fed while the bytes are written; `onProgress` hears how many bytes are in the file. */
  constructor(
    private readonly fd: number,
    private readonly digest: Digest,
    private readonly onProgress: (writtenBytes: number) => void,
  ) {}

  /**
   * Takes bytes to be written; they must not be changed any more. Resolves when more may come. Throws the system's
   * error if these or earlier ones could not be written.
   */
  async append(bytes: Uint8Array): Promise<void> {
    this.#throwFailure();
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (!this.#isWriting) this.#writing = this.#write();
    while (this.#waitingBytes >= mostWaitingBytes && !this.#failure)
      await this.#oneWrite.catch(() => undefined);
    this.#throwFailure();
  }

  /** Resolves when everything is in the file, which is to be called before its descriptor is closed. */
  async flush(): Promise<void> {
    await this.settle();
    this.#throwFailure();
  }

  /** Resolves when nothing is done to the file any more, whether it succeeded or not. */
  async settle(): Promise<void> {
    await this.#writing;
    await this.#syncing;
  }

  /** Until nothing waits. Never rejects: the failure is kept for whoever comes next. */
  async #write(): Promise<void> {
    this.#isWriting = true;
    try {
      while (this.#waiting.length > 0) {
        const buffers = this.#waiting.splice(0, mostBuffers);
        const bytes = buffers.reduce((sum, { length }) => sum + length, 0);
        this.#waitingBytes -= bytes;
        this.#oneWrite = this.#take(buffers, bytes);
        await this.#oneWrite;
        this.onProgress(this.#writtenBytes);
        if (!this.#isSyncing && this.#writtenBytes - this.#syncedBytes >= syncEveryBytes)
          this.#syncing = this.#sync();
      }
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      this.#isWriting = false;
    }
  }

  async #take(buffers: Uint8Array[], bytes: number): Promise<void> {
    // Both must have ended before an error is passed on: they work on what the caller then closes.
    const outcomes = await Promise.allSettled([this.#writeAll(buffers, bytes), this.digest.update(buffers)]);
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure) throw failure.reason;
  }

  async #writeAll(buffers: Uint8Array[], bytes: number): Promise<void> {
    const goal = this.#writtenBytes + bytes;
    let rest = buffers;
    for (;;) {
      const { bytesWritten } = await writeBuffers(this.fd, rest, this.#writtenBytes);
      this.#writtenBytes += bytesWritten;
      if (this.#writtenBytes === goal) return;
      rest = [Buffer.concat(rest).subarray(bytesWritten)];
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
