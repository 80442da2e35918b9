import { quote } from '../image/quote.js';
import type { Login } from '../registry/session.js';
import type { PrepareRequestMessage } from './definitions.js';
import { invalidRequest } from './request.js';

type LoginMessage = NonNullable<PrepareRequestMessage['login']>;

const longestUsernameBytes = 1024;
/** Tokens of cloud registries have a few thousand. */
const longestSecretBytes = 64 * 1024;

/**
 * The login of an answer about `registry`; undefined if the caller has none and nothing to say about it. What is
 * secret is moved, not copied: the message holds zeros afterwards, also if it is refused with `request-invalid`.
 */
export function takeLogin(login: LoginMessage, registry: string): Login | undefined {
  const password = taken(login.password);
  const identityToken = taken(login.identityToken);
  const { username, source, problem } = login;
  try {
    if (login.registry !== registry)
      throw invalidRequest('a login came for another registry than was asked for');
    if (
      Buffer.byteLength(username ?? '') > longestUsernameBytes ||
      password.length > longestSecretBytes ||
      identityToken.length > longestSecretBytes
    ) {
      throw invalidRequest(`the login for registry ${registry} is too long`);
    }
    const isEmpty = !username && password.length === 0 && identityToken.length === 0;
    if (problem && !isEmpty) throw invalidRequest('a login came together with the reason why there is none');
    if (isEmpty && !problem) return undefined;
  } catch (error) {
    password.fill(0);
    identityToken.fill(0);
    throw error;
  }
  return {
    username: username ?? '',
    password,
    identityToken,
    // Both are read by people, in sentences.
    source: shown(source ?? ''),
    problem: shown(problem ?? ''),
  };
}

/** Leaves nothing secret in a message that nobody had asked for. */
export function wipeLogin({ login }: PrepareRequestMessage): void {
  login?.password?.fill(0);
  login?.identityToken?.fill(0);
}

function taken(bytes: Uint8Array | null | undefined): Buffer {
  // Not from Node's pool, where it would lie among other requests' bytes.
  const own = Buffer.alloc(bytes?.length ?? 0);
  own.set(bytes ?? []);
  bytes?.fill(0);
  return own;
}

function shown(text: string): string {
  return quote(text).slice(1, -1);
}
