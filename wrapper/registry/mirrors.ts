import type { Endpoint } from './endpoint.js';
import { RegistryError } from './error.js';
import { type Waiting, withoutRemedy } from './patience.js';

/** How long a mirror that cannot be reached is passed over. */
const restMs = 30_000;

/** Mirrors that could not be reached a moment ago. */
export class RestingMirrors {
  readonly #untilMs = new Map<string, number>();

  has({ origin }: Endpoint): boolean {
    return (this.#untilMs.get(origin) ?? 0) > Date.now();
  }

  add({ origin }: Endpoint): void {
    this.#untilMs.set(origin, Date.now() + restMs);
  }

  clear(): void {
    this.#untilMs.clear();
  }
}

/**
 * The first answer of `ask` that is not undefined. A mirror's failure of any kind leads to the next, with a word
 * about it; what the last, the registry itself, says or throws is what comes of it all.
 */
export async function firstAnswer<T>(
  endpoints: readonly Endpoint[],
  resting: RestingMirrors,
  { signal, onWait }: Waiting,
  ask: (endpoint: Endpoint) => Promise<T | undefined>,
): Promise<T | undefined> {
  let mayRecover = false;
  let hasSpoken = false;
  for (const endpoint of endpoints) {
    if (endpoint.isMirror && resting.has(endpoint)) continue;
    try {
      const answer = await ask(endpoint);
      if (answer === undefined && endpoint.isMirror) continue;
      if (hasSpoken) onWait('');
      return answer;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof RegistryError)) throw error;
      if (!endpoint.isMirror) throw mayRecover && !error.retryable ? worthRetrying(error) : error;
      mayRecover ||= error.retryable;
      if (error.code === 'registry-unreachable') resting.add(endpoint);
      if (error.code === 'image-not-found') continue;
      hasSpoken = true;
      onWait(
        `mirror ${endpoint.registry} is of no use: ${withoutRemedy(error.message)}; going on without it`,
      );
    }
  }
  return undefined;
}

/** Where the registry itself is out of reach, a mirror that is busy now may be what this node lives on. */
function worthRetrying(error: RegistryError): RegistryError {
  return new RegistryError(error.code, error.message, { cause: error, retryable: true });
}
