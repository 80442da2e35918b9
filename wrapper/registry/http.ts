import http from 'node:http';
import https from 'node:https';
import { checkServerIdentity } from 'node:tls';

import { StowageError } from '../error.js';
import { Agents } from './agents.js';
import { Authorities } from './authorities.js';
import type { DirectBody } from './direct-body.js';
import { DirectSocket } from './direct-socket.js';
import { connectionError, RegistryError } from './error.js';
import { ExchangeCounts } from './exchange-counts.js';
import { proxyFor } from './proxy.js';

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
  method: 'GET' | 'HEAD' | 'POST';
  headers: Record<string, string>;
  body?: string;
  /** Who may vouch for the other side; without them: whom the system trusts. */
  authorities?: Authorities;
  /** How messages name the other side: "localhost:5000". */
  registry: string;
  /** That the body may be large: its chunks may be pieces of readMemory, which the reader gives back. */
  isBulk?: boolean;
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

/**
 * One exchange: no redirects, no retries, no credentials of its own. Connections are kept alive, and made by way
 * of a proxy where the environment names one.
 */
export class HttpTransport {
  readonly #agents = new Agents();
  readonly exchanges = new ExchangeCounts();

  constructor(private limits: HttpLimits) {}

  async send(request: HttpRequest): Promise<HttpResponse> {
    const { url, method, headers, body, authorities = Authorities.ofSystem, registry, signal } = request;
    const secure = url.protocol === 'https:';
    const proxy = proxyFor(url, registry);
    const agent = await this.#agents.agentFor(secure, authorities, proxy);
    const who = proxy ? `registry ${registry} by way of proxy ${proxy.name}` : `registry ${registry}`;
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(asError(signal.reason));
        return;
      }
      // By way of a proxy, an address would otherwise be compared with "localhost".
      const identity = proxy && { checkServerIdentity: identityOf(url) };
      const outgoing = (secure ? https : http).request(url, { method, headers, agent, signal, ...identity });
      this.#limitWaiting(outgoing, secure, who);
      if (request.isBulk) outgoing.once('socket', (socket) => DirectSocket.of(socket)?.expectAnswer());
      let isAnswered = false;
      outgoing.once('response', (incoming) => {
        isAnswered = true;
        this.exchanges.count(method, incoming.statusCode);
        // Whoever reads the body sees its errors; an answer that nobody reads must not bring the daemon down.
        incoming.on('error', () => undefined);
        const { statusCode: status = 0, headers: received } = incoming;
        const direct = DirectSocket.of(incoming.socket)?.bodyOf(incoming);
        resolve({
          status,
          headers: received,
          url,
          body: readBody(direct ?? usual(incoming), registry, this.limits, signal),
          discard: () => discard(incoming, method),
        });
      });
      // Otherwise the proxy's own answer would pass for one of the registry.
      outgoing.once('proxyConnect', ({ statusCode }: { statusCode: number }) => {
        if (statusCode !== 200) outgoing.destroy(proxyRefuses(who, statusCode));
      });
      outgoing.on('error', (error) => {
        if (!isAnswered) this.exchanges.count(method, undefined);
        if (signal.aborted) reject(asError(signal.reason));
        else reject(error instanceof StowageError ? error : connectionError(registry, error, who));
      });
      outgoing.end(body);
    });
  }

  /** Goes on with other limits, and trusts from now on what is trusted now. */
  update(limits: HttpLimits): void {
    this.limits = limits;
    this.#agents.renew();
  }

  close(): void {
    this.#agents.close();
  }

  #limitWaiting(outgoing: http.ClientRequest, secure: boolean, who: string): void {
    const { connectTimeoutMs, rateWindowMs } = this.limits;
    const giveUpAfter = (ms: number, what: string): NodeJS.Timeout =>
      setTimeout(() => {
        outgoing.destroy(
          new RegistryError(
            'registry-unreachable',
            `${who} cannot be reached: ${what} within ${ms / 1000} s; try again later`,
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

function identityOf({ hostname }: URL): typeof checkServerIdentity {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return (_, certificate) => checkServerIdentity(host, certificate);
}

function proxyRefuses(who: string, status: number): RegistryError {
  const reason = status === 407 ? 'the proxy wants a login' : `the proxy refuses (HTTP ${status})`;
  return new RegistryError(
    'registry-unreachable',
    `${who} cannot be reached: ${reason}; tell the administrators`,
    { retryable: status >= 500 },
  );
}

const shortBodyBytes = 16 * 1024;
/** How long what is short may take. */
const shortBodyMs = 5000;

/** Reads away what is short, so that the connection can serve again, and cuts off the rest. */
function discard(incoming: http.IncomingMessage, method: string): void {
  const isShort = Number(incoming.headers['content-length'] ?? Infinity) <= shortBodyBytes;
  if (method !== 'HEAD' && !isShort) {
    incoming.destroy();
    return;
  }
  const tooLong = setTimeout(() => incoming.destroy(), shortBodyMs).unref();
  incoming.once('close', () => clearTimeout(tooLong));
  incoming.resume();
}

/** Time spent by the reader does not count: only waiting for the registry does. */
async function* readBody(
  body: Pick<DirectBody, 'chunks' | 'stop'>,
  registry: string,
  limits: HttpLimits,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const { rateWindowMs, minimumBytesPerSecond } = limits;
  const chunks = body.chunks();
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
      const timer = setTimeout(() => body.stop(tooSlow()), rateWindowMs);
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
    await chunks.return(undefined);
  }
}

function usual(incoming: http.IncomingMessage): Pick<DirectBody, 'chunks' | 'stop'> {
  return {
    chunks: () => incoming[Symbol.asyncIterator]() as AsyncGenerator<Buffer>,
    stop: (reason) => incoming.destroy(reason),
  };
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted');
}
