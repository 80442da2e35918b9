import { StowageError } from '../error.js';
import type { LocalFiles } from '../image/local-files.js';
import { quote } from '../image/quote.js';
import type { Login } from '../registry/session.js';
import type { PrepareRequestMessage, PrepareResponseMessage } from './definitions.js';
import { takeLogin, wipeLogin } from './login-message.js';
import { invalidRequest } from './request.js';

/** No image that can be read needs more: the layout's two files, five documents and a configuration. */
const mostDocuments = 16;
/** The image's own registry, and mirrors that want logins. */
const mostRegistries = 8;

/** `document_wanted` and `login_wanted` of PrepareResponse. */
export type Question =
  | { documentWanted: NonNullable<PrepareResponseMessage['documentWanted']> }
  | { loginWanted: NonNullable<PrepareResponseMessage['loginWanted']> };

export interface ConversationOptions {
  /** How long the client may take for each answer. It may have to read from a slow file system. */
  patienceMs: number;
  signal: AbortSignal;
  /** Sends a question. */
  ask: (question: Question) => void;
  /** Ends the call for what the client said, whatever is being done for it just then. */
  breakOff: (reason: StowageError) => void;
}

/**
 * What the client says in one Prepare call: first its request, then the document or the login that it is asked
 * for, one at a time. Anything else ends the call with `request-invalid`, and saying nothing with `client-silent`.
 */
export class Conversation implements LocalFiles {
  #answer: ((message: PrepareRequestMessage | undefined) => void) | undefined;
  #ended = false;
  #documents = 0;
  #registries = 0;
  /** Settles when no question is open any more. */
  #silence: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: ConversationOptions) {}

  /** For each message that comes. */
  receive(message: PrepareRequestMessage): void {
    const answer = this.#answer;
    if (!answer) {
      wipeLogin(message);
      this.options.breakOff(invalidRequest('a message came that nobody had asked for'));
      return;
    }
    this.#answer = undefined;
    answer(message);
  }

  /** No more will come; that is the client's good right unless something is still to be answered. */
  end(): void {
    this.#ended = true;
    this.#answer?.(undefined);
  }

  /** The first message, as it was sent. */
  async request(): Promise<PrepareRequestMessage> {
    const message = await this.#next('its request');
    if (!message.document && !message.login) return message;
    wipeLogin(message);
    throw invalidRequest(`it begins with a ${message.login ? 'login' : 'document'}`);
  }

  async read(name: string, maxBytes: number): Promise<Uint8Array> {
    if (++this.#documents > mostDocuments) {
      throw unreadable(`more than ${mostDocuments} of its files would have to be looked at`);
    }
    const document = await this.#answerTo({ documentWanted: { name, maxBytes } }, quote(name), 'document');
    const { content, problem } = document;
    if (document.name !== name) {
      throw invalidRequest(`${quote(name)} was asked for, and ${quote(document.name ?? '')} came`);
    }
    const bytes = content ?? new Uint8Array();
    if (bytes.length > maxBytes) {
      throw invalidRequest(`${quote(name)} came with ${bytes.length} bytes, and ${maxBytes} were asked for`);
    }
    if (problem) throw unreadable(`${name} ${quote(problem).slice(1, -1)}`);
    return bytes;
  }

  /**
   * What the caller has to log in with at a registry; undefined if that is nothing. The buffers are the
   * receiver's to wipe; nothing of them is kept here.
   */
  async login(registry: string, repository: string): Promise<Login | undefined> {
    if (++this.#registries > mostRegistries) {
      throw new StowageError(
        'registry-denied',
        `more than ${mostRegistries} registries want a login for one image, and registry ${registry} is one more; ` +
          'ask the administrators about its mirrors',
      );
    }
    const what = `a login for registry ${registry}`;
    return takeLogin(
      await this.#answerTo({ loginWanted: { registry, repository } }, what, 'login'),
      registry,
    );
  }

  /** Asks when nothing else is asked, and hears the answer: a message with nothing in it but `kind`. */
  async #answerTo<Kind extends 'document' | 'login'>(
    question: Question,
    what: string,
    kind: Kind,
  ): Promise<NonNullable<PrepareRequestMessage[Kind]>> {
    const coming = this.#silence.then(() => {
      const answer = this.#next(what);
      this.options.ask(question);
      return answer;
    });
    this.#silence = coming.catch(() => undefined);
    const message = await coming;
    const { client, reference, local } = message;
    const other = kind === 'document' ? message.login : message.document;
    const answer = message[kind];
    if (answer && !other && !client && !local && reference === '') return answer;
    wipeLogin(message);
    throw invalidRequest(`${what} was asked for, and another request came`);
  }

  async #next(what: string): Promise<PrepareRequestMessage> {
    const { signal, patienceMs } = this.options;
    signal.throwIfAborted();
    let stop = (): void => undefined;
    const message = await new Promise<PrepareRequestMessage | undefined>((resolve, reject) => {
      const aborted = (): void => reject(signal.reason as Error);
      const timer = setTimeout(() => reject(this.#silent(what)), patienceMs);
      signal.addEventListener('abort', aborted, { once: true });
      stop = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', aborted);
      };
      this.#answer = resolve;
      if (this.#ended) resolve(undefined);
    }).finally(() => {
      stop();
      this.#answer = undefined;
    });
    if (!message) throw invalidRequest(`it ended before it had sent ${what}`);
    return message;
  }

  #silent(what: string): StowageError {
    const { patienceMs } = this.options;
    return new StowageError(
      'client-silent',
      `stowage-enter did not send ${what} within ${patienceMs / 1000} s; ` +
        'see whether the file system of the image, or of your home directory, hangs, and try again',
    );
  }
}

function unreadable(problem: string): StowageError {
  return new StowageError('image-malformed', problem);
}
