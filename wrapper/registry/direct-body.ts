import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

import { readMemory } from './read-memory.js';

/** The most that one read of a connection brings. */
export const readBytes = 256 * 1024;

/** What has come is passed on after so long, though there is room for more: others follow a layer as it grows. */
const gatherMs = 10;

const nothing = Buffer.alloc(0);

/** A body of known length, taken from its connection without Node's parser, which copies what it passes on. */
export class DirectBody {
  #missingBytes: number;
  #target = readMemory.take();
  #filledBytes = 0;
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

  /** Takes what came. Returns whether there is room for one more read. */
  receive(bytes: Buffer): boolean {
    const own = bytes.subarray(0, this.#missingBytes);
    const copied = own.copy(this.#target, this.#filledBytes);
    this.#filledBytes += copied;
    this.#missingBytes -= copied;
    this.#hasExcess ||= own.length < bytes.length;
    // TLS passes on what it has decrypted, asked or not; the room for one more read is more than that.
    if (copied < own.length) this.stop(new Error('more came than there was room for'));
    if (this.#hasRoom) {
      this.#gather();
      return true;
    }
    this.#wakeUp();
    return false;
  }

  /** In pieces of readMemory, for the reader to give back. Ends the connection unless all is read. */
  async *chunks(): AsyncGenerator<Buffer> {
    try {
      for (let chunk; (chunk = await this.#next()).length > 0;) yield chunk;
      await this.#finish();
    } finally {
      if (this.#missingBytes > 0 || this.#filledBytes > 0) this.stop();
      readMemory.giveBack(this.#target);
      this.#target = nothing;
    }
  }

  /** Breaks off, for that reason. */
  stop(reason?: Error): void {
    this.socket.destroy(reason);
  }

  get #hasRoom(): boolean {
    return this.#missingBytes > 0 && this.#target.length - this.#filledBytes >= readBytes;
  }

  /** Empty at the end. */
  async #next(): Promise<Buffer> {
    if (this.#hasRoom && !this.#failure) {
      if (this.#filledBytes > 0) this.#gather();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.socket.resume();
      });
    }
    if (this.#filledBytes === 0) {
      if (this.#missingBytes > 0 && this.#failure) throw this.#failure;
      return nothing;
    }
    const chunk = this.#target.subarray(0, this.#filledBytes);
    this.#target = this.#missingBytes > 0 ? readMemory.take() : nothing;
    this.#filledBytes = 0;
    return chunk;
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
