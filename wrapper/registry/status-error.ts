import { RegistryError } from './error.js';
import type { HttpResponse } from './http.js';
import { loginCommand } from './login-command.js';
import { parseRetryAfter } from './patience.js';

const transient = new Set([408, 429, 500, 502, 503, 504]);

/** An answer that nobody expected here. `who` begins the sentence, `clause` stands before its remedy. */
export function statusError(
  response: Pick<HttpResponse, 'status' | 'headers'>,
  registry: string,
  who = `registry ${registry}`,
  clause = '',
  login?: object,
): RegistryError {
  const { status, headers } = response;
  const retry = {
    retryable: true,
    retryAfterMs: parseRetryAfter(headers['retry-after'], Date.now()),
  };
  if (status === 429) {
    const remedy = login ? 'try again later' : `try again later, or log in with ${loginCommand(registry)}`;
    return new RegistryError(
      'registry-failing',
      `${who} asks us to slow down (HTTP 429)${clause}; ${remedy}`,
      retry,
    );
  }
  if (transient.has(status)) {
    return new RegistryError(
      'registry-failing',
      `${who} is out of order (HTTP ${status})${clause}; try again later`,
      retry,
    );
  }
  if (status === 401 || status === 403) {
    return new RegistryError(
      'registry-denied',
      `${who} refuses access (HTTP ${status})${clause}; ask its owner`,
    );
  }
  if (status === 407) {
    return new RegistryError(
      'registry-unreachable',
      `${who} cannot be reached: the proxy on the way wants a login; tell the administrators`,
    );
  }
  return new RegistryError(
    'registry-misbehaving',
    `${who} gave an answer that makes no sense (HTTP ${status})${clause}; check that it is a container registry`,
  );
}
