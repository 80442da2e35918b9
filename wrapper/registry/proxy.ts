import { getProxyForUrl } from 'proxy-from-env';

import { RegistryError } from './error.js';

export interface Proxy {
  /** With the site's login for it, if it has one: not for sentences. */
  url: URL;
  /** "proxy.example.org:3128" */
  name: string;
}

/**
 * The proxy that the environment names for a URL: $HTTPS_PROXY, $HTTP_PROXY, $ALL_PROXY and $NO_PROXY, in lower
 * case too. Throws if what they name cannot be used.
 */
export function proxyFor(url: URL, registry: string): Proxy | undefined {
  const text = getProxyForUrl(url.href);
  if (text === '') return undefined;
  // No cause: Node's error for a malformed URL would show the login in it.
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (!proxy || !['http:', 'https:'].includes(proxy.protocol) || proxy.hostname === '') {
    throw new RegistryError(
      'registry-unreachable',
      `registry ${registry} cannot be reached: the proxy that the environment of this node names is not an ` +
        'http:// or https:// URL; tell the administrators',
    );
  }
  return { url: proxy, name: proxy.host };
}
