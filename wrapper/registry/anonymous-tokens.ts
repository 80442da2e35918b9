import type { Endpoint } from './endpoint.js';
import type { Token } from './token.js';

const most = 1000;

/** Tokens that registries give out to everybody, for all sessions. */
export class AnonymousTokens {
  readonly #tokens = new Map<string, Token>();

  find(endpoint: Endpoint): Token | undefined {
    const token = this.#tokens.get(keyOf(endpoint));
    return token && token.expiresAtMs > Date.now() ? token : undefined;
  }

  put(endpoint: Endpoint, token: Token): void {
    if (this.#tokens.size >= most) this.#tokens.clear();
    this.#tokens.set(keyOf(endpoint), token);
  }

  /** Unless it has been replaced meanwhile. */
  forget(endpoint: Endpoint, token: Token): void {
    if (this.#tokens.get(keyOf(endpoint)) === token) this.#tokens.delete(keyOf(endpoint));
  }

  clear(): void {
    this.#tokens.clear();
  }
}

export function keyOf({ origin, repository }: Endpoint): string {
  return `${origin}/${repository}`;
}
