import { BlockList, isIP } from 'node:net';

import type { Endpoint } from './endpoint.js';

/** What may be sent to a token service: a login, only a question of nobody in particular, or nothing at all. */
export type RealmTrust = 'login' | 'anonymous' | 'nothing';

/** Token services under a name of their own, by the host of the registry. */
const knownRealms: Readonly<Record<string, readonly string[]>> = {
  'registry-1.docker.io': ['auth.docker.io'],
  'docker.elastic.co': ['docker-auth.elastic.co'],
  'nvcr.io': ['authn.nvidia.com'],
};

// RFC 1122 section 3.2.1.3, RFC 3927, RFC 4291 sections 2.5.2, 2.5.3 and 2.5.6. BlockList looks through
// IPv4-mapped IPv6 addresses itself.
const local = new BlockList();
local.addSubnet('0.0.0.0', 8, 'ipv4');
local.addSubnet('127.0.0.0', 8, 'ipv4');
local.addSubnet('169.254.0.0', 16, 'ipv4');
local.addAddress('::', 'ipv6');
local.addAddress('::1', 'ipv6');
local.addSubnet('fe80::', 10, 'ipv6');

/**
 * A registry says itself where its token service is, so that a bad one could collect logins. They go to its own
 * origin, over https to its own host, a domain above or below it, to what is known, and to what the site lists.
 */
export function trustInRealm(realm: URL, { registry, origin, rules }: Endpoint): RealmTrust {
  if (realm.origin === origin || rules.tokenRealms.includes(realm.origin)) return 'login';
  const host = hostOf(realm);
  if (realm.protocol !== 'https:' || isLocal(host)) return 'nothing';
  const own = hostOf(new URL(`https://${registry}`));
  return isRelated(own, host) || knownRealms[own]?.includes(host) ? 'login' : 'anonymous';
}

/** In lower case, addresses without brackets, names without a dot at the end. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

function isLocal(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  const version = isIP(host);
  return version !== 0 && local.check(host, version === 4 ? 'ipv4' : 'ipv6');
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
