import { StowageError } from '../error.js';
import type { LocalFiles } from '../image/local-files.js';
import { quote } from '../image/quote.js';
import type { PrepareRequestMessage } from './definitions.js';
import { invalidRequest } from './request.js';

/** No image that can be read needs more: the layout's two files, five documents and a configuration. */
const mostDocuments = 16;

export interface ConversationOptions {
  /** How long the client may take for each answer. It may have to read from a slow file system. */
  patienceMs: number;
  signal: AbortSignal;
  /** Sends `document_wanted`. */
  ask: (wanted: { name: string; maxBytes: number }) => void;
  /** Ends the call for what the client said, whatever is being done for it just then. */
  breakOff: (reason: StowageError) => void;
}

/**
 * What the client says in one Prepare call: first its request, then one document for each that it is asked
 * for. Anything else ends the call with `request-invalid`, and saying nothing with `client-silent`.
 */
export class Conversation implements LocalFiles {
  #answer: ((message: PrepareRequestMessage | undefined) => void) | undefined;
  #ended = false;
  #asked = 0;

  constructor(private readonly options: ConversationOptions) {}

  /** For each message that comes. */
  receive(message: PrepareRequestMessage): void {
    const answer = this.#answer;
    if (!answer) {
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
    if (message.document) throw invalidRequest('it begins with a document');
    return message;
  }

  async read(name: string, maxBytes: number): Promise<Uint8Array> {
    if (++this.#asked > mostDocuments) {
      throw unreadable(`more than ${mostDocuments} of its files would have to be looked at`);
    }
    const coming = this.#next(quote(name));
    this.options.ask({ name, maxBytes });
    const { document, client, reference, local } = await coming;
    if (!document || client || local || reference !== '') {
      throw invalidRequest(`${quote(name)} was asked for, and another request came`);
    }
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
        'if the image is in a file, see whether its file system hangs, and try again',
    );
  }
}

function unreadable(problem: string): StowageError {
  return new StowageError('image-malformed', problem);
}
