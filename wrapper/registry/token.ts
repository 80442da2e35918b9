import { Ajv } from 'ajv';

import { readAtMost } from './body.js';
import type { Challenge } from './challenge.js';
import { RegistryError } from './error.js';
import type { Transport } from './http.js';
import { sendFollowing } from './redirect.js';
import { statusError } from './status-error.js';

export interface Token {
  value: string;
  expiresAtMs: number;
}

const largestTokenBytes = 1024 * 1024;

// https://distribution.github.io/distribution/spec/auth/token/ "Token Response Fields"
const isAnswer = new Ajv().compile<{ token?: string; access_token?: string; expires_in?: number }>({
  type: 'object',
  properties: {
    token: { type: 'string' },
    access_token: { type: 'string' },
    expires_in: { type: 'number', minimum: 0 },
  },
});

const defaultLifetimeSeconds = 60;

/**
 * Asks the token service that `challenge` names for leave to pull `repository`, without credentials.
 * `plainAllowed` is whether the site lets this registry be used over http; its token service may then be too.
 */
export async function fetchToken(
  transport: Transport,
  challenge: Challenge,
  target: { registry: string; repository: string; plainAllowed: boolean; signal: AbortSignal },
): Promise<Token> {
  const { registry, repository, plainAllowed, signal } = target;
  const realm = challenge.parameters.get('realm') ?? '';
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  if (url?.protocol === 'http:' && !plainAllowed) {
    throw misbehaving(registry, 'wants tokens to be fetched over http, where anyone could read them');
  }
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw misbehaving(registry, 'does not say where its token service is');
  }
  url.username = '';
  url.password = '';
  const service = challenge.parameters.get('service');
  if (service !== undefined) url.searchParams.set('service', service);
  // Our own scope, not the one of the challenge: a registry cannot make us ask for more.
  url.searchParams.set('scope', `repository:${repository}:pull`);

  const response = await sendFollowing(transport, { url, method: 'GET', headers: {}, registry, signal });
  if (response.status !== 200) {
    response.discard();
    throw statusError(response, registry, `the token service of registry ${registry}`);
  }
  const body = await readAtMost(response.body, largestTokenBytes);
  if (body === undefined)
    throw misbehaving(registry, `sends a token of more than ${largestTokenBytes} bytes`);
  const answer = parse(body);
  const value = isAnswer(answer) ? answer.token || answer.access_token || '' : '';
  if (!/^[\x21-\x7e]+$/.test(value)) throw misbehaving(registry, 'sends an empty or malformed token');
  const lifetimeSeconds = (answer as { expires_in?: number }).expires_in ?? defaultLifetimeSeconds;
  return { value, expiresAtMs: Date.now() + lifetimeSeconds * 1000 };
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
