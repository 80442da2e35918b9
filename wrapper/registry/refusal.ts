import { quote } from '../image/quote.js';
import type { Reference } from '../image/reference.js';
import type { Endpoint } from './endpoint.js';
import { RegistryError } from './error.js';
import type { HttpResponse } from './http.js';
import type { Credentials } from './login.js';
import { loginCommand } from './login-command.js';
import { statusError } from './status-error.js';
import { readWords, type Words } from './words.js';

/** As whom a request was made. */
export interface Visitor {
  login: Credentials | undefined;
  /** Why there is no login though there should be, as a clause; or empty. */
  problem: string;
  /** The origin of a token service that the login was kept from. */
  withheld: string | undefined;
}

/** What was asked for, for the sentence about what came instead. */
export interface Asked {
  reference: Reference;
  endpoint: Endpoint;
  visitor: Visitor;
  /** A blob that is part of the image; undefined for its manifests. */
  layer: string | undefined;
  /** Of the request, so that no sentence repeats it. */
  token: string | undefined;
}

/** Turns an answer other than the one that was asked for into an error. Reads or discards its body. */
export async function refusal(response: HttpResponse, asked: Asked): Promise<RegistryError> {
  const { reference, endpoint, visitor, token } = asked;
  const { status, url } = response;
  const { registry } = endpoint;
  const image = reference.canonical;
  if (url.origin !== endpoint.origin) {
    response.discard();
    if (status === 404) return missing(asked, [], '');
    return elsewhere(response, registry);
  }
  const isSecret = (text: string): boolean =>
    (visitor.login?.appearsIn(text) ?? false) || (token !== undefined && text.includes(token));
  const { codes, clause }: Words = await readWords(response, isSecret);
  if (status === 429 || codes.includes('TOOMANYREQUESTS')) {
    return statusError({ ...response, status: 429 }, registry, `registry ${registry}`, clause, visitor.login);
  }
  if (status === 401) {
    if (visitor.login && visitor.withheld === undefined && token === undefined)
      return loginRefused(image, endpoint, visitor.login, 'registry', clause);
    return notShown(image, endpoint, visitor, clause);
  }
  if (status === 403) return notShown(image, endpoint, visitor, clause);
  if (status === 404) return missing(asked, codes, clause);
  return statusError(response, registry, `registry ${registry}`, clause);
}

/** A place that the registry leads to, which knows nothing of our login: its own affair with the registry. */
function elsewhere(response: HttpResponse, registry: string): RegistryError {
  const { host } = response.url;
  if (response.status !== 401 && response.status !== 403)
    return statusError(response, registry, `${host}, where registry ${registry} leads to,`);
  return new RegistryError(
    'registry-failing',
    `registry ${registry} leads to ${host}, which refuses access (HTTP ${response.status}); try again later, and tell whoever runs the registry`,
    { retryable: true },
  );
}

function missing(
  { reference, endpoint, layer }: Asked,
  codes: readonly string[],
  clause: string,
): RegistryError {
  const { registry, repository } = endpoint;
  const image = reference.canonical;
  if (layer !== undefined) {
    return new RegistryError(
      'image-not-found',
      `layer ${layer} of image ${image} is missing in registry ${registry}${clause}; ` +
        'ask whoever built the image to push it again',
    );
  }
  const what = codes.includes('NAME_UNKNOWN')
    ? `repository ${repository}`
    : codes.includes('MANIFEST_UNKNOWN')
      ? `${reference.digest === undefined ? `tag ${reference.tag}` : 'image of this digest'} in ${repository}`
      : 'such repository, tag or digest';
  return new RegistryError(
    'image-not-found',
    `image ${image} not found: registry ${registry} has no ${what}${clause}; check the spelling, or push it there first`,
  );
}

/** The registry knows who asks, or asks for nothing better, and does not show the image. */
function notShown(image: string, endpoint: Endpoint, visitor: Visitor, clause: string): RegistryError {
  const { login, withheld } = visitor;
  if (!login || withheld !== undefined) return loginNeeded(image, endpoint, visitor, clause);
  return new RegistryError(
    'registry-denied',
    `image ${image}: registry ${endpoint.registry} does not show it to ${nameOf(login)}${clause}; ` +
      'ask its owner to let you in, or check the spelling',
  );
}

export function loginNeeded(
  image: string,
  { registry }: Endpoint,
  { login, problem, withheld }: Visitor,
  clause = '',
): RegistryError {
  const wants = `image ${image}: registry ${registry} wants a login${clause}`;
  if (login && withheld !== undefined) {
    return new RegistryError(
      'registry-denied',
      `${wants}, and that of ${nameOf(login)} was not sent to its token service ${withheld}, which is not known to ` +
        'belong to it; if it does, the administrators can allow that in stowage.toml with ' +
        `[registries."${registry}"] token_realms = ["${withheld}"]`,
    );
  }
  const reason = problem === '' ? '' : `, and there is none: ${problem}`;
  return new RegistryError(
    'registry-denied',
    `${wants}${reason}; run ${loginCommand(registry)} on a login node, or check the spelling`,
  );
}

/** Who refused it, or why it cannot even be sent. */
type Refuser = 'service' | 'registry' | 'kind' | 'scheme';

export function loginRefused(
  image: string,
  { registry }: Endpoint,
  login: Credentials,
  refuser: Refuser,
  clause = '',
): RegistryError {
  const problem = {
    service: `the token service of registry ${registry} refuses the login of ${nameOf(login)}${clause}`,
    registry: `registry ${registry} refuses the login of ${nameOf(login)}${clause}`,
    kind: `registry ${registry} takes a name and a password only, and the login of ${nameOf(login)} is of another kind`,
    scheme: `registry ${registry} wants a kind of login that Stowage does not know, neither Bearer nor Basic`,
  }[refuser];
  return new RegistryError(
    'login-refused',
    `image ${image}: ${problem}; run ${loginCommand(registry)} again on a login node`,
  );
}

function nameOf({ username, source }: Credentials): string {
  const name = username === '' ? 'an identity token' : quote(username).slice(1, -1);
  return source === '' ? name : `${name} from ${quote(source).slice(1, -1)}`;
}
