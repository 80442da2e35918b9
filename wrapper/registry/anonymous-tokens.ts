import type { Endpoint } from './endpoint.js';
import type { Token } from './token.js';

const most = 1000;
/** In characters. Longer ones, which hardly any registry takes back in a header, are fetched anew each time. */
const longest = 16 * 1024;
const mostInAll = 2 * 1024 * 1024;

/** Tokens that registries give out to everybody, for all sessions. */
export class AnonymousTokens {
  /** The oldest first. */
  readonly #tokens = new Map<string, Token>();
  #length = 0;

  find(endpoint: Endpoint): Token | undefined {
    const token = this.#tokens.get(keyOf(endpoint));
    return token && token.expiresAtMs > Date.now() ? token : undefined;
  }

  put(endpoint: Endpoint, token: Token): void {
    this.#remove(keyOf(endpoint));
    if (token.value.length > longest) return;
    this.#tokens.set(keyOf(endpoint), token);
    this.#length += token.value.length;
    while (this.#tokens.size > most || this.#length > mostInAll)
      this.#remove(this.#tokens.keys().next().value as string);
  }

  /** Unless it has been replaced meanwhile. */
  forget(endpoint: Endpoint, token: Token): void {
    if (this.#tokens.get(keyOf(endpoint)) === token) this.#remove(keyOf(endpoint));
  }

  clear(): void {
    this.#tokens.clear();
    this.#length = 0;
  }

  #remove(key: string): void {
    this.#length -= this.#tokens.get(key)?.value.length ?? 0;
    this.#tokens.delete(key);
  }
}

export function keyOf({ origin, repository }: Endpoint): string {
  return `${origin}/${repository}`;
}
