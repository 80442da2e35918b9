import { BlockList, isIP } from 'node:net';

// RFC 1122 section 3.2.1.3, RFC 3927, RFC 4291 sections 2.5.2, 2.5.3 and 2.5.6. BlockList looks through
// IPv4-mapped IPv6 addresses itself.
const local = new BlockList();
local.addSubnet('0.0.0.0', 8, 'ipv4');
local.addSubnet('127.0.0.0', 8, 'ipv4');
local.addSubnet('169.254.0.0', 16, 'ipv4');
local.addAddress('::', 'ipv6');
local.addAddress('::1', 'ipv6');
local.addSubnet('fe80::', 10, 'ipv6');

/** Whether a URL leads to the node itself, or to what only its own link has: services that trust who is there. */
export function isLocal(url: URL): boolean {
  const host = hostOf(url);
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  const version = isIP(host);
  return version !== 0 && local.check(host, version === 4 ? 'ipv4' : 'ipv6');
}

/** In lower case, addresses without brackets, names without a dot at the end. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}
