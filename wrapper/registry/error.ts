import { reasonOf, StowageError, systemErrorCode, type ErrorCode } from '../error.js';

/** A failure of a registry. `retryable` says whether asking again can help. */
export class RegistryError extends StowageError {
  readonly retryable: boolean;
  /** What the registry asked for with Retry-After, or undefined. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: ErrorOptions & { retryable?: boolean; retryAfterMs?: number | undefined } = {},
  ) {
    super(code, message, options);
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }
}

const words: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'it closed the connection',
  EPIPE: 'it closed the connection',
  ETIMEDOUT: 'the connection timed out',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name server does not answer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
};

const transient = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN']);

/** Turns what Node's http, https, tls and dns throw into a sentence about `registry`, which `who` names in full. */
export function connectionError(
  registry: string,
  error: unknown,
  who = `registry ${registry}`,
): RegistryError {
  const code = systemErrorCode(error) ?? '';
  if (code.startsWith('HPE_')) {
    return new RegistryError(
      'registry-misbehaving',
      `registry ${registry} does not speak HTTP; check its host name and port`,
      { cause: error },
    );
  }
  if (/^(?:ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/.test(code)) {
    return new RegistryError(
      'registry-unreachable',
      `registry ${registry} cannot be trusted: its certificate is not accepted on this node (${reasonOf(error)}); ` +
        'ask the administrators to install the authority that signed it, or to name it in stowage.toml with ' +
        `[registries."${registry}"] ca = "FILE"`,
      { cause: error },
    );
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) {
    return new RegistryError(
      'registry-unreachable',
      `registry ${registry} does not speak HTTPS; if it is meant to be used without encryption, the ` +
        `administrators must allow that in stowage.toml with [registries."${registry}"] http = true`,
      { cause: error },
    );
  }
  return new RegistryError(
    'registry-unreachable',
    `${who} cannot be reached: ${words[code] ?? reasonOf(error)}; check its host name and port, or try again later`,
    { cause: error, retryable: transient.has(code) },
  );
}
