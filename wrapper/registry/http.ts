import http from 'node:http';
import https from 'node:https';

import { StowageError } from '../error.js';
import { connectionError, RegistryError } from './error.js';

export interface HttpLimits {
  /** For name look-up, TCP and TLS together. Sensible: 5,000-60,000. */
  connectTimeoutMs: number;
  /** A transfer below this, measured over `rateWindowMs`, is given up. */
  minimumBytesPerSecond: number;
  /** Also how long an answer may take to begin. Sensible: 10,000-120,000. */
  rateWindowMs: number;
}

export interface HttpRequest {
  url: URL;
  method: 'GET' | 'HEAD';
  headers: Record<string, string>;
  /** How messages name the other side: "localhost:5000". */
  registry: string;
  signal: AbortSignal;
}

export interface HttpResponse {
  status: number;
  headers: http.IncomingHttpHeaders;
  url: URL;
  /** The body, read at the reader's pace. Throws `registry-failing` if it stalls or breaks off. */
  body: AsyncIterable<Buffer>;
  /** For a body that is not wanted. */
  discard(): void;
}

/** What sends requests; tests put something else in its place. */
export type Transport = Pick<HttpTransport, 'send'>;

/** One exchange: no redirects, no retries, no credentials of its own. Agents keep connections alive. */
export class HttpTransport {
  readonly #http = new http.Agent({ keepAlive: true });
  readonly #https = new https.Agent({ keepAlive: true });

  constructor(readonly limits: HttpLimits) {}

  send(request: HttpRequest): Promise<HttpResponse> {
    const { url, method, headers, registry, signal } = request;
    const secure = url.protocol === 'https:';
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(asError(signal.reason));
        return;
      }
      const outgoing = (secure ? https : http).request(url, {
        method,
        headers,
        agent: secure ? this.#https : this.#http,
        signal,
      });
      this.#limitWaiting(outgoing, secure, registry);
      outgoing.once('response', (incoming) => {
        // Whoever reads the body sees its errors; an answer that nobody reads must not bring the daemon down.
        incoming.on('error', () => undefined);
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          url,
          body: readBody(incoming, registry, this.limits, signal),
          discard: () => discard(incoming, method),
        });
      });
      outgoing.on('error', (error) => {
        if (signal.aborted) reject(asError(signal.reason));
        else reject(error instanceof StowageError ? error : connectionError(registry, error));
      });
      outgoing.end();
    });
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #limitWaiting(outgoing: http.ClientRequest, secure: boolean, registry: string): void {
    const { connectTimeoutMs, rateWindowMs } = this.limits;
    const giveUpAfter = (ms: number, what: string): NodeJS.Timeout =>
      setTimeout(() => {
        outgoing.destroy(
          new RegistryError(
            'registry-unreachable',
            `registry ${registry} cannot be reached: ${what} within ${ms / 1000} s; try again later`,
            { retryable: true },
          ),
        );
      }, ms);
    let timer = giveUpAfter(connectTimeoutMs, 'no connection');
    const connected = (): void => {
      clearTimeout(timer);
      timer = giveUpAfter(rateWindowMs, 'no answer');
    };
    outgoing.once('socket', (socket) => {
      if (socket.connecting) socket.once(secure ? 'secureConnect' : 'connect', connected);
      else connected();
    });
    outgoing.once('response', () => clearTimeout(timer));
    outgoing.once('close', () => clearTimeout(timer));
  }
}

/** Reads away what is short, so that the connection can serve again, and cuts off the rest. */
function discard(incoming: http.IncomingMessage, method: string): void {
  const shortBodyBytes = 16 * 1024;
  if (method === 'HEAD' || Number(incoming.headers['content-length'] ?? Infinity) <= shortBodyBytes)
    incoming.resume();
  else incoming.destroy();
}

/** Time spent by the reader does not count: only waiting for the registry does. */
async function* readBody(
  incoming: http.IncomingMessage,
  registry: string,
  limits: HttpLimits,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const { rateWindowMs, minimumBytesPerSecond } = limits;
  const chunks = incoming[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let waitedMs = 0;
  let bytes = 0;
  const tooSlow = (): RegistryError =>
    new RegistryError(
      'registry-failing',
      `registry ${registry} sends less than ${minimumBytesPerSecond} bytes per second; try again later`,
      { retryable: true },
    );
  try {
    for (;;) {
      const began = performance.now();
      const timer = setTimeout(() => incoming.destroy(tooSlow()), rateWindowMs);
      const next = await chunks.next().finally(() => clearTimeout(timer));
      if (next.done) return;
      waitedMs += performance.now() - began;
      bytes += next.value.length;
      if (waitedMs >= rateWindowMs) {
        if (bytes < (minimumBytesPerSecond * waitedMs) / 1000) throw tooSlow();
        waitedMs = 0;
        bytes = 0;
      }
      yield next.value;
    }
  } catch (error) {
    if (signal.aborted) throw asError(signal.reason);
    if (error instanceof StowageError) throw error;
    throw new RegistryError(
      'registry-failing',
      `registry ${registry} broke off in the middle of an answer; try again later`,
      {
        cause: error,
        retryable: true,
      },
    );
  } finally {
    incoming.destroy();
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted');
}
