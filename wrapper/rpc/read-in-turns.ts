import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

import { StowageError } from '../error.js';
import { Turns } from '../policy/turns.js';
import type { PrepareResponseMessage } from './definitions.js';
import { OpenCalls } from './open-calls.js';
import { peerFromLabel } from './peer.js';
import { statusOf } from './status.js';

/** Messages that are being received, of all users and of one: as many times 4 MiB may be held for those that never end. */
const mostReads = 12;
const mostReadsPerUser = 4;
/** How long a client may take to send its request, once it is its turn. */
const patienceMs = 10_000;

/** Calls that are open, of all users and of one: each takes some memory, whatever it says. */
const mostCalls = 2048;
const mostCallsPerUser = 512;

/**
 * Receives messages a few at a time, and only those that something is expected of: the request, and the answer to
 * each question. What else a client sends stays in its own buffers, as HTTP/2 allows it no more than 64 KiB ahead.
 */
export function readInTurns(): ServerInterceptor {
  const turns = new Turns(mostReads, mostReadsPerUser);
  const calls = new OpenCalls(mostCalls, mostCallsPerUser);
  return (method, call) => {
    const { uid } = peerFromLabel(call.getPeer());
    return new ReadInTurns(call, method.requestStream, {
      begin: () => calls.begin(uid),
      turn: (signal) => turns.take(uid, signal),
    });
  };
}

/** What the calls of one user share. */
interface Shares {
  /** undefined if there are too many open; otherwise to be called at the end. */
  begin(): (() => void) | undefined;
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
            if (!leave) return this.#refuse();
            this.#leave = leave;
            pass(metadata);
          },
          onReceiveMessage: (message, pass) => {
            this.#finish();
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

  /** The handler never hears of the call. */
  #refuse(): void {
    const problem = `more than ${mostCallsPerUser} calls to stowaged of this node are open`;
    this.#fail(new StowageError('too-many-calls', `${problem}; try again when some have ended`));
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
  }
}
