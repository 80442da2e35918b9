import { RegistryError } from './error.js';
import type { HttpResponse } from './http.js';
import { parseRetryAfter } from './patience.js';

const transient = new Set([408, 429, 500, 502, 503, 504]);

/** An answer that nobody expected here. `who` begins the sentence. */
export function statusError(
  response: HttpResponse,
  registry: string,
  who = `registry ${registry}`,
): RegistryError {
  const { status, headers } = response;
  if (status === 429) {
    return new RegistryError('registry-failing', `${who} asks us to slow down (HTTP 429); try again later`, {
      retryable: true,
      retryAfterMs: parseRetryAfter(headers['retry-after'], Date.now()),
    });
  }
  if (transient.has(status)) {
    return new RegistryError('registry-failing', `${who} is out of order (HTTP ${status}); try again later`, {
      retryable: true,
      retryAfterMs: parseRetryAfter(headers['retry-after'], Date.now()),
    });
  }
  if (status === 401 || status === 403) {
    return new RegistryError('registry-denied', `${who} refuses access (HTTP ${status}); ask its owner`);
  }
  return new RegistryError(
    'registry-misbehaving',
    `${who} gave an answer that makes no sense (HTTP ${status}); check that it is a container registry`,
  );
}
