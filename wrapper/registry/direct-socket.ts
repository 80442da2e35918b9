import type { IncomingMessage } from 'node:http';
import type { OnReadOpts, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { DirectBody, readBytes } from './direct-body.js';
import { HeadEnd } from './head-end.js';

/** Of all connections, but for bodies: whatever a read brings is passed on, or copied, before the next one. */
const shared = Buffer.allocUnsafeSlow(readBytes);

/** Shorter bodies are not worth it. */
const leastBytes = 64 * 1024;

const known = new WeakMap<Duplex, DirectSocket>();

/**
 * A connection of node:http that can hand the body of an answer past Node's parser; decision 0019. Everything else goes
 * the usual way: Node's client listens for nothing but the socket's `data`.
 */
export class DirectSocket {
  #head: HeadEnd | undefined;
  #body: DirectBody | undefined;
  private readonly socket: Socket;

  private constructor(connect: (onread: OnReadOpts) => Socket) {
    this.socket = connect({
      // Node asks for it when it connects, and again after each read.
      buffer: () => this.#body?.room ?? shared,
      callback: (count, { buffer, byteOffset }) => this.#receive(Buffer.from(buffer, byteOffset, count)),
    });
  }

  /** Makes a connection by `connect`, which must pass `onread` on to net.connect or tls.connect. */
  static make(connect: (onread: OnReadOpts) => Socket): Socket {
    const direct = new DirectSocket(connect);
    known.set(direct.socket, direct);
    return direct.socket;
  }

  /** Undefined for a connection that was made otherwise. */
  static of(socket: Duplex): DirectSocket | undefined {
    return known.get(socket);
  }

  /** To be called before each answer whose body may be large. */
  expectAnswer(): void {
    this.#head = new HeadEnd();
  }

  /**
   * The body of the answer whose `response` event is just being emitted; undefined if it has to be read from
   * `incoming` itself, as one in chunks has.
   */
  bodyOf(incoming: IncomingMessage): DirectBody | undefined {
    const isExpected = this.#head !== undefined;
    this.#head = undefined;
    const { statusCode = 0, headers } = incoming;
    const bytes = Number(headers['content-length']);
    const isBody = statusCode === 200 || statusCode === 206;
    if (!isExpected || !isBody || headers['transfer-encoding'] !== undefined || !(bytes >= leastBytes))
      return undefined;
    // Node's parser takes an answer of this status for complete after its head, which RFC 9110 section 15.4.5 says.
    incoming.statusCode = 304;
    this.#body = new DirectBody(this.socket, incoming, bytes, () => (this.#body = undefined));
    return this.#body;
  }

  /** Returns false if nothing more must be read for now. */
  #receive(bytes: Buffer): boolean {
    let rest = bytes;
    // There may be several, the first ones of status 1xx.
    while (this.#head && rest.length > 0) {
      const end = this.#head.find(rest);
      this.#emit(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    if (rest.length === 0) return true;
    if (this.#body) return this.#body.receive(rest);
    this.#emit(rest);
    return true;
  }

  #emit(bytes: Buffer): void {
    // Nobody has asked for anything: an answer to the next question must not be made of it.
    if (this.socket.listenerCount('data') === 0) this.socket.destroy();
    else this.socket.emit('data', Buffer.from(bytes));
  }
}
