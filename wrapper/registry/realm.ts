import { isIP } from 'node:net';

import type { Endpoint } from './endpoint.js';
import { hostOf, isLocal } from './local-address.js';

/** What may be sent to a token service: a login, only a question of nobody in particular, or nothing at all. */
export type RealmTrust = 'login' | 'anonymous' | 'nothing';

/** Token services under a name of their own, by the host of the registry. */
const knownRealms: Readonly<Record<string, readonly string[]>> = {
  'registry-1.docker.io': ['auth.docker.io'],
  'docker.elastic.co': ['docker-auth.elastic.co'],
  'nvcr.io': ['authn.nvidia.com'],
};

/**
 * A registry says itself where its token service is, so that a bad one could collect logins. They go to its own
 * origin, over https to its own host, a domain above or below it, to what is known, and to what the site lists.
 */
export function trustInRealm(realm: URL, { registry, origin, rules }: Endpoint): RealmTrust {
  if (realm.origin === origin || rules.tokenRealms.includes(realm.origin)) return 'login';
  const host = hostOf(realm);
  if (realm.protocol !== 'https:' || isLocal(realm)) return 'nothing';
  const own = hostOf(new URL(`https://${registry}`));
  return isRelated(own, host) || knownRealms[own]?.includes(host) ? 'login' : 'anonymous';
}

function isRelated(own: string, host: string): boolean {
  if (own === host) return true;
  if (isIP(own) || isIP(host)) return false;
  return isBelow(own, host) || isBelow(host, own);
}

/** Not below a top-level domain, which is nobody's. */
function isBelow(host: string, domain: string): boolean {
  return domain.includes('.') && host.endsWith(`.${domain}`);
}
