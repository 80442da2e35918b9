import { constants, type ServerHttp2Stream } from 'node:http2';

import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

import { StowageError } from '../error.js';
import { Turns } from '../policy/turns.js';
import type { PrepareResponseMessage } from './definitions.js';
import { weightOf } from './message-weight.js';
import { peerFromLabel } from './peer.js';
import { Quota } from './quota.js';
import { statusOf } from './status.js';

/** Messages that are being received, of all users and of one: as many times 4 MiB may be held for those that never end. */
const mostReads = 12;
const mostReadsPerUser = 4;
/** How long a client may take to send its request, once it is its turn. */
const patienceMs = 10_000;
/** How long the end of a call may take to be on its way. */
const partingMs = 100;

/** Calls that are open, of all users and of one: each takes some memory, whatever it says. */
const mostCalls = 2048;
const mostCallsPerUser = 512;

/** Messages of calls that are open, in bytes of memory, of all users and of one. */
const mostHeldBytes = 48 * 1024 * 1024;
const mostHeldBytesPerUser = 16 * 1024 * 1024;

/**
 * Receives messages a few at a time, and only those that something is expected of: the request, and the answer to
 * each question. What else a client sends stays in its own buffers, as HTTP/2 allows it no more than 64 KiB ahead.
 */
export function readInTurns(): ServerInterceptor {
  const turns = new Turns(mostReads, mostReadsPerUser);
  const calls = new Quota(mostCalls, mostCallsPerUser);
  const held = new Quota(mostHeldBytes, mostHeldBytesPerUser);
  return (method, call) => {
    const { uid } = peerFromLabel(call.getPeer());
    return new ReadInTurns(call, method.requestStream, {
      begin: () => calls.take(uid),
      hold: (bytes) => held.take(uid, bytes),
      turn: (signal) => turns.take(uid, signal),
    });
  };
}

/** What the calls of one user share. */
interface Shares {
  /** undefined if there are too many open; otherwise to be called at the end. */
  begin(): (() => void) | undefined;
  /** undefined if too much is held already; otherwise to be called when the message is no longer needed. */
  hold(bytes: number): (() => void) | undefined;
  turn(signal: AbortSignal): Promise<() => void>;
}

type NextCall = ConstructorParameters<typeof ServerInterceptingCall>[0];

class ReadInTurns extends ServerInterceptingCall {
  readonly #over = new AbortController();
  /** Whether the handler wants to hear more, and whether the client has something to say. */
  #isWanted = false;
  #isExpected = true;
  #isFirst = true;
  #finish: () => void = () => undefined;
  #leave: () => void = () => undefined;
  /** Let go of the request, which is needed to the end, and of the last answer, until the next one comes. */
  #dropRequest: (() => void) | undefined;
  #dropAnswer: (() => void) | undefined;

  constructor(
    call: NextCall,
    private readonly isConversation: boolean,
    private readonly shares: Shares,
  ) {
    super(call, {
      start: (next) =>
        next({
          // A call that was taken back before this is never heard of again.
          onReceiveMetadata: (metadata, pass) => {
            const leave = shares.begin();
            if (!leave) return this.#refuse(`more than ${mostCallsPerUser} calls are open`);
            this.#leave = leave;
            pass(metadata);
          },
          onReceiveMessage: (message, pass) => {
            this.#finish();
            if (!this.#hold(message as object))
              return this.#refuse('calls that are open hold too much of its memory');
            pass(message);
          },
          onReceiveHalfClose: (pass) => {
            this.#finish();
            pass();
          },
          onCancel: () => this.#end(),
        }),
      sendMessage: (message: PrepareResponseMessage, pass) => {
        if (message.documentWanted || message.loginWanted) this.#expect();
        pass(message);
      },
      sendStatus: (outcome, pass) => {
        this.#end();
        hangUp(call);
        pass(outcome);
      },
    });
  }

  override startRead(): void {
    this.#isWanted = true;
    this.#read();
  }

  #expect(): void {
    this.#isExpected = true;
    this.#read();
  }

  #read(): void {
    if (!this.#isWanted || !this.#isExpected) return;
    this.#isWanted = false;
    this.#isExpected = !this.isConversation;
    this.shares.turn(this.#over.signal).then(
      (giveBack) => this.#receive(giveBack),
      // The call is over.
      () => undefined,
    );
  }

  #receive(giveBack: () => void): void {
    // For the answer to a question the handler has its own patience.
    const isRequest = this.#isFirst || !this.isConversation;
    this.#isFirst = false;
    const timer = isRequest ? setTimeout(() => this.#giveUp(), patienceMs) : undefined;
    this.#finish = () => {
      clearTimeout(timer);
      giveBack();
    };
    if (this.#over.signal.aborted) this.#finish();
    else super.startRead();
  }

  #hold(message: object): boolean {
    this.#dropAnswer?.();
    const drop = this.shares.hold(weightOf(message));
    if (this.#dropRequest) this.#dropAnswer = drop;
    else this.#dropRequest = drop;
    return drop !== undefined;
  }

  #refuse(problem: string): void {
    const sentence = `you ask too much of stowaged of this node at once: ${problem}; try again when some have ended`;
    this.#fail(new StowageError('too-many-calls', sentence));
  }

  #giveUp(): void {
    const problem = `no request came within ${patienceMs / 1000} s`;
    this.#fail(new StowageError('client-silent', `${problem}; try again`));
  }

  #fail(error: StowageError): void {
    const { code = status.INTERNAL, details = '', metadata = null } = statusOf(error);
    this.sendStatus({ code, details, metadata });
  }

  #end(): void {
    this.#finish();
    this.#over.abort();
    this.#leave();
    this.#dropRequest?.();
    this.#dropAnswer?.();
  }
}

/**
 * Ends the client's side of a call that is over: until it does so itself, grpc-js would hold what it received last.
 * RFC 9113, section 8.1, allows it after a whole answer.
 */
function hangUp(call: NextCall): void {
  // Not in the documentation of grpc-js, which has no other way.
  const { stream } = call as { stream?: ServerHttp2Stream };
  stream?.once('finish', () => {
    // What ends the answer is still to be written then.
    setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), partingMs).unref();
  });
}
