import { RegistryError } from './error.js';
import type { HttpRequest, HttpResponse, Transport } from './http.js';
import { isLocal } from './local-address.js';

const mostRedirects = 10;
const redirects = new Set([301, 302, 303, 307, 308]);

/**
 * Follows redirects by hand: Authorization stays with the origin it was meant for, an encrypted connection is
 * never followed by a plain one, and nobody elsewhere makes us knock at the node's own services.
 */
export async function sendFollowing(
  transport: Transport,
  request: HttpRequest & { method: 'GET' | 'HEAD' },
): Promise<HttpResponse> {
  const { registry } = request;
  let { url, headers } = request;
  for (let hops = 0; hops <= mostRedirects; hops++) {
    const response = await transport.send({ ...request, url, headers });
    if (!redirects.has(response.status)) return response;
    response.discard();
    const target = parseLocation(response.headers.location, url, registry);
    if (url.protocol === 'https:' && target.protocol !== 'https:') {
      throw misbehaving(
        registry,
        `redirects from https to ${target.protocol}//, which would give up encryption`,
      );
    }
    if (isLocal(target) && !isLocal(url)) {
      throw misbehaving(registry, `redirects to ${target.host}, which is this node itself`);
    }
    if (target.origin !== url.origin) {
      headers = { ...headers };
      delete headers.authorization;
    }
    url = target;
  }
  throw misbehaving(registry, `redirects more than ${mostRedirects} times`);
}

function parseLocation(location: string | undefined, base: URL, registry: string): URL {
  const target =
    location !== undefined && URL.canParse(location, base.href) ? new URL(location, base) : undefined;
  if (!target || !['http:', 'https:'].includes(target.protocol)) {
    throw misbehaving(registry, 'redirects to nowhere');
  }
  target.username = '';
  target.password = '';
  return target;
}

function misbehaving(registry: string, problem: string): RegistryError {
  return new RegistryError('registry-misbehaving', `registry ${registry} ${problem}; tell whoever runs it`);
}
