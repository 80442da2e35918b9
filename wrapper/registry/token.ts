import { Ajv } from 'ajv';

import { readAtMost } from './body.js';
import type { Challenge } from './challenge.js';
import type { Endpoint } from './endpoint.js';
import { RegistryError } from './error.js';
import type { HttpResponse, Transport } from './http.js';
import type { Credentials } from './login.js';
import { sendFollowing } from './redirect.js';
import { statusError } from './status-error.js';
import { readWords, type Words } from './words.js';

export interface Token {
  value: string;
  expiresAtMs: number;
}

/** A token, or why the service gives out none to this asker. */
export type TokenAnswer = { token: Token } | { refused: Words };

const largestTokenBytes = 1024 * 1024;

// https://distribution.github.io/distribution/spec/auth/token/ "Token Response Fields"; for POST
// https://distribution.github.io/distribution/spec/auth/oauth/ "Token Response Fields".
const isAnswer = new Ajv().compile<{ token?: string; access_token?: string; expires_in?: number }>({
  type: 'object',
  properties: {
    token: { type: 'string' },
    access_token: { type: 'string' },
    expires_in: { type: 'number', minimum: 0 },
  },
});

const defaultLifetimeSeconds = 60;
/** Of its lifetime, how much of a token is used: clocks differ, and requests take time. */
const usedPart = 0.9;

/** Where a Bearer challenge says that tokens are. Throws if it does not. */
export function realmOf(challenge: Challenge, registry: string): URL {
  const text = challenge.parameters.get('realm') ?? '';
  const realm = URL.canParse(text) ? new URL(text) : undefined;
  if (!realm || !['http:', 'https:'].includes(realm.protocol)) {
    throw misbehaving(registry, 'does not say where its token service is');
  }
  realm.username = '';
  realm.password = '';
  return realm;
}

/**
 * Asks a token service for leave to pull: with a login, or as nobody in particular. Whether the login may go
 * there is for the caller to know.
 */
export async function fetchToken(
  transport: Transport,
  realm: URL,
  service: string | undefined,
  { registry, repository, rules }: Endpoint,
  login: Credentials | undefined,
  signal: AbortSignal,
): Promise<TokenAnswer> {
  const who = `the token service of registry ${registry}`;
  // Our own scope, not the one of the challenge: a registry cannot make us ask for more.
  const scope = `repository:${repository}:pull`;
  const { authorities } = rules;
  const url = new URL(realm);
  let response: HttpResponse;
  if (login?.isIdentityToken) {
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'stowaged', scope });
    if (service !== undefined) form.set('service', service);
    form.set('refresh_token', login.identityToken());
    response = await transport.send({
      url,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: form.toString(),
      authorities,
      registry,
      signal,
    });
    if (response.status >= 300 && response.status < 400) {
      response.discard();
      throw misbehaving(registry, 'wants a login to be sent on to another place');
    }
  } else {
    if (service !== undefined) url.searchParams.set('service', service);
    url.searchParams.set('scope', scope);
    const headers: Record<string, string> = login ? { authorization: login.basic() } : {};
    response = await sendFollowing(transport, { url, method: 'GET', headers, authorities, registry, signal });
  }
  if ([400, 401, 403].includes(response.status)) {
    return { refused: await readWords(response, (text) => login?.appearsIn(text) ?? false) };
  }
  if (response.status !== 200) {
    response.discard();
    throw statusError(response, registry, who);
  }
  const body = await readAtMost(response.body, largestTokenBytes);
  if (body === undefined)
    throw misbehaving(registry, `sends a token of more than ${largestTokenBytes} bytes`);
  const answer = parse(body);
  const value = isAnswer(answer) ? answer.token || answer.access_token || '' : '';
  if (!/^[\x21-\x7e]+$/.test(value)) throw misbehaving(registry, 'sends an empty or malformed token');
  const lifetimeSeconds = (answer as { expires_in?: number }).expires_in ?? defaultLifetimeSeconds;
  return { token: { value, expiresAtMs: Date.now() + lifetimeSeconds * 1000 * usedPart } };
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString()) as unknown;
  } catch {
    return undefined;
  }
}

function misbehaving(registry: string, problem: string): RegistryError {
  return new RegistryError('registry-misbehaving', `registry ${registry} ${problem}; tell whoever runs it`);
}
