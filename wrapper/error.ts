/**
 * Every code that a failure of Stowage can carry. Codes are stable: scripts may rely on them, and
 * docs/errors.md explains each.
 */
export type ErrorCode =
  | 'reference-malformed'
  | 'option-invalid'
  | 'option-denied'
  | 'settings-invalid'
  | 'request-invalid'
  | 'client-silent'
  | 'too-many-calls'
  | 'protocol-mismatch'
  | 'caller-denied'
  | 'image-denied'
  | 'image-not-found'
  | 'not-on-node'
  | 'platform-not-found'
  | 'image-malformed'
  | 'image-unsupported'
  | 'image-too-large'
  | 'device-unknown'
  | 'device-unusable'
  | 'content-mismatch'
  | 'registry-denied'
  | 'registry-blocked'
  | 'login-refused'
  | 'registry-unreachable'
  | 'registry-failing'
  | 'registry-misbehaving'
  | 'store-full'
  | 'store-failing'
  | 'daemon-stopping'
  | 'config-invalid'
  | 'start-refused'
  | 'addon-missing'
  | 'internal';

/**
 * A failure that a user or an administrator can understand: `message` is one sentence that says what
 * failed, names the thing at fault and says what to do. `cause` keeps the original.
 */
export class StowageError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The `code` of a Node system error ("ENOSPC"), or undefined for anything else. */
export function systemErrorCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** What a caught value says about itself, for use inside a sentence. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
