import { type Access, authorizationOf, type Pass } from './access.js';
import { parseChallenges } from './challenge.js';
import type { Endpoint } from './endpoint.js';
import type { HttpResponse, Transport } from './http.js';
import { sendFollowing } from './redirect.js';
import type { Asked } from './refusal.js';

export interface Wanted {
  method: 'GET' | 'HEAD';
  /** Below the repository: "manifests/1.2". */
  path: string;
  headers: Record<string, string>;
  /** See HttpRequest. */
  isBulk?: boolean;
  /** How sentences call the image. */
  image: string;
}

export interface Answer {
  response: HttpResponse;
  /** As whom it was asked for. */
  as: Pick<Asked, 'visitor' | 'token'>;
}

/**
 * One request at one endpoint, with what it takes to be let in: a token that has expired is replaced once. Any
 * status comes back as it is, a 401 too if the best that we have does not open it.
 */
export async function visit(
  transport: Transport,
  access: Access,
  endpoint: Endpoint,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<Answer> {
  const { method, path, headers, isBulk = false, image } = wanted;
  const { registry, repository, origin, rules } = endpoint;
  const url = new URL(`${origin}/v2/${repository}/${path}`);
  let pass: Pass | undefined = access.passFor(endpoint);
  let isFresh = false;
  let hasMet = false;
  for (;;) {
    access.checkOpen();
    const authorization = pass && { authorization: authorizationOf(pass) };
    const response = await sendFollowing(transport, {
      url,
      method,
      headers: { 'user-agent': 'stowaged', ...headers, ...authorization },
      authorities: rules.authorities,
      registry,
      isBulk,
      signal,
    });
    const visitor = pass?.visitor ?? { login: undefined, problem: '', withheld: undefined };
    const answer = { response, as: { visitor, token: pass?.token?.value } };
    // A place that the registry leads to has no say in where a login goes.
    if (response.status !== 401 || response.url.origin !== origin || isFresh) return answer;
    const challenges = parseChallenges(response.headers['www-authenticate'] ?? '');
    if (challenges.length === 0 && method === 'HEAD') return answer;
    response.discard();
    if (pass) {
      // Asked anew with nothing: some registries name another token service to those who come with an old token.
      access.forget(endpoint, pass);
      pass = undefined;
      continue;
    }
    if (!hasMet) {
      await access.meet(endpoint);
      hasMet = true;
      pass = access.passFor(endpoint);
      if (pass) continue;
    }
    pass = await access.enter(transport, endpoint, challenges, image, signal);
    isFresh = true;
  }
}
