import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

import { readMemory } from './read-memory.js';

/** What one read of a connection should have room for. */
export const readBytes = 256 * 1024;

/** What has come is passed on after so long, though there is room for more: others follow a layer as it grows. */
const gatherMs = 10;

const nothing = Buffer.alloc(0);

/** A body of known length, taken from its connection without Node's parser, which copies what it passes on. */
export class DirectBody {
  #missingBytes: number;
  readonly #full: Buffer[] = [];
  /** What the connection is read into, from #filledBytes on. */
  #target = readMemory.take();
  #filledBytes = 0;
  /** What of #target was passed on already. */
  #passedBytes = 0;
  #hasExcess = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #onClose = (): void => {
    this.#failure = this.socket.errored ?? new Error('the connection was closed');
    this.#wakeUp();
  };

  /** `leave` is called when the connection is no longer this body's. */
  constructor(
    private readonly socket: Socket,
    private readonly incoming: IncomingMessage,
    bytes: number,
    private readonly leave: () => void,
  ) {
    this.#missingBytes = bytes;
    socket.once('close', this.#onClose);
  }

  /** Where the next read of the connection belongs; undefined if it does not belong to this body. */
  get room(): Buffer | undefined {
    return this.#missingBytes > 0 ? this.#target.subarray(this.#filledBytes) : undefined;
  }

  /** Takes what came: into `room`, or elsewhere, and then no more than readBytes. Returns whether to read on. */
  receive(bytes: Buffer): boolean {
    const own = bytes.subarray(0, this.#missingBytes);
    if (own.buffer !== this.#target.buffer) own.copy(this.#target, this.#filledBytes);
    this.#filledBytes += own.length;
    this.#missingBytes -= own.length;
    this.#hasExcess ||= own.length < bytes.length;
    if (this.#missingBytes > 0 && this.#target.length - this.#filledBytes >= readBytes) {
      this.#gather();
      return true;
    }
    this.#full.push(this.#target.subarray(this.#passedBytes, this.#filledBytes));
    this.#target = this.#missingBytes > 0 ? readMemory.take() : nothing;
    this.#filledBytes = 0;
    this.#passedBytes = 0;
    this.#wakeUp();
    return false;
  }

  /** In pieces of readMemory, for the reader to give back. Ends the connection unless all is read. */
  async *chunks(): AsyncGenerator<Buffer> {
    try {
      for (let chunk; (chunk = await this.#next()).length > 0;) yield chunk;
      await this.#finish();
    } finally {
      if (this.#missingBytes > 0 || this.#full.length > 0) this.stop();
      for (const chunk of this.#full.splice(0)) readMemory.giveBack(chunk);
    }
  }

  /** Breaks off, for that reason. */
  stop(reason?: Error): void {
    this.socket.destroy(reason);
  }

  /** Empty at the end. */
  async #next(): Promise<Buffer> {
    if (this.#full.length === 0 && this.#missingBytes > 0 && !this.#failure) {
      if (this.#filledBytes > this.#passedBytes) this.#gather();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.socket.resume();
      });
    }
    const chunk = this.#full.shift() ?? this.#copyOfBegun();
    if (chunk.length === 0 && this.#missingBytes > 0 && this.#failure) throw this.#failure;
    return chunk;
  }

  /** The connection is read into the rest of the piece, so the reader must not give that one back. */
  #copyOfBegun(): Buffer {
    const begun = this.#target.subarray(this.#passedBytes, this.#filledBytes);
    if (begun.length === 0) return nothing;
    this.#passedBytes = this.#filledBytes;
    const copy = readMemory.take();
    return copy.subarray(0, begun.copy(copy));
  }

  #gather(): void {
    this.#timer ??= setTimeout(() => this.#wakeUp(), gatherMs);
  }

  #wakeUp(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.socket.pause();
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Leaves the connection to whatever is asked next. */
  async #finish(): Promise<void> {
    this.leave();
    this.socket.off('close', this.#onClose);
    // A Node that did not take the answer for complete would not use the connection again.
    if (this.#hasExcess || !this.incoming.complete) {
      this.stop();
      return;
    }
    const ended = new Promise((resolve) => this.incoming.once('close', resolve));
    this.incoming.resume();
    this.socket.resume();
    if (!this.incoming.closed) await ended;
  }
}
