import { keyOf, type AnonymousTokens } from './anonymous-tokens.js';
import type { Challenge } from './challenge.js';
import type { Endpoint } from './endpoint.js';
import { RegistryError } from './error.js';
import type { Transport } from './http.js';
import { type AskLogin, Credentials, SessionClosed } from './login.js';
import { trustInRealm } from './realm.js';
import { fetchToken, realmOf, type Token } from './token.js';
import { loginNeeded, loginRefused, type Visitor } from './refusal.js';

/** What opens a repository at one endpoint: a token, or without one name and password themselves. */
export interface Pass {
  token: Token | undefined;
  visitor: Visitor;
}

/** How one session gets in: its logins, and the tokens got with them. */
export class Access {
  /** By registry; asked for once. */
  readonly #logins = new Map<string, Promise<{ login: Credentials | undefined; problem: string }>>();
  /** What the answers of `#logins` were. */
  readonly #known = new Map<string, { login: Credentials | undefined; problem: string }>();
  /** With a login, by endpoint and repository. */
  readonly #passes = new Map<string, Pass>();
  #isClosed = false;

  constructor(
    private readonly anonymous: AnonymousTokens,
    private readonly ask: AskLogin | undefined,
  ) {}

  /** What to try first; undefined for a request with nothing. Throws SessionClosed. */
  passFor(endpoint: Endpoint): Pass | undefined {
    this.checkOpen();
    const pass = this.#passes.get(keyOf(endpoint));
    if (pass && (pass.token === undefined || pass.token.expiresAtMs > Date.now())) return pass;
    // A user with a login is never shown less than it opens because everybody else is shown less.
    if (this.ask && !this.#known.has(endpoint.registry)) return undefined;
    const known = this.#known.get(endpoint.registry);
    const token = known?.login ? undefined : this.anonymous.find(endpoint);
    return (
      token && { token, visitor: { login: undefined, problem: known?.problem ?? '', withheld: undefined } }
    );
  }

  /** For one that the registry did not accept. */
  forget(endpoint: Endpoint, pass: Pass): void {
    if (this.#passes.get(keyOf(endpoint)) === pass) this.#passes.delete(keyOf(endpoint));
    if (pass.token) this.anonymous.forget(endpoint, pass.token);
  }

  /** Asks for a login if it has not been asked for, so that `passFor` may know more. */
  async meet(endpoint: Endpoint): Promise<void> {
    const { registry, repository } = endpoint;
    let asked = this.#logins.get(registry);
    if (!asked) {
      asked = this.#askFor(registry, repository);
      this.#logins.set(registry, asked);
    }
    this.#known.set(registry, await asked);
    this.checkOpen();
  }

  /** A new pass, by what the endpoint itself said that it wants. Throws if there is none to be had. */
  async enter(
    transport: Transport,
    endpoint: Endpoint,
    challenges: readonly Challenge[],
    image: string,
    signal: AbortSignal,
  ): Promise<Pass> {
    const { login, problem } = this.#known.get(endpoint.registry) ?? { login: undefined, problem: '' };
    const visitor: Visitor = { login, problem, withheld: undefined };
    const basic = challenges.find(({ scheme }) => scheme === 'basic');
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    const realm = bearer && realmOf(bearer, endpoint.registry);
    const trust = realm && trustInRealm(realm, endpoint);
    if (basic && login?.isBasic && trust !== 'login') {
      const pass = { token: undefined, visitor };
      this.#passes.set(keyOf(endpoint), pass);
      return pass;
    }
    if (!bearer || !realm) {
      if (login) throw loginRefused(image, endpoint, login, basic ? 'kind' : 'scheme');
      throw loginNeeded(image, endpoint, visitor);
    }
    if (trust === 'nothing') throw unsafeRealm(endpoint, realm);
    const sent = trust === 'login' ? login : undefined;
    if (login && !sent) visitor.withheld = realm.origin;
    const service = bearer.parameters.get('service');
    const answer = await fetchToken(transport, realm, service, endpoint, sent, signal);
    this.checkOpen();
    if ('refused' in answer) {
      if (sent) throw loginRefused(image, endpoint, sent, 'service', answer.refused.clause);
      throw loginNeeded(image, endpoint, visitor, answer.refused.clause);
    }
    const pass: Pass = { token: answer.token, visitor };
    if (sent) this.#passes.set(keyOf(endpoint), pass);
    else this.anonymous.put(endpoint, answer.token);
    return pass;
  }

  checkOpen(): void {
    if (this.#isClosed) throw new SessionClosed();
  }

  close(): void {
    this.#isClosed = true;
    for (const { login } of this.#known.values()) login?.close();
    this.#known.clear();
    this.#logins.clear();
    this.#passes.clear();
  }

  async #askFor(
    registry: string,
    repository: string,
  ): Promise<{ login: Credentials | undefined; problem: string }> {
    const answer = await this.ask?.(registry, repository);
    const login = Credentials.from(answer);
    if (this.#isClosed) login?.close();
    this.checkOpen();
    return { login, problem: answer?.problem ?? '' };
  }
}

function unsafeRealm({ registry }: Endpoint, { origin }: URL): RegistryError {
  return new RegistryError(
    'registry-misbehaving',
    `registry ${registry} wants tokens to be fetched from ${origin}, which is not encrypted or not a place of its own; ` +
      `tell whoever runs it, or the administrators, who can allow that in stowage.toml with [registries."${registry}"] token_realms = ["${origin}"]`,
  );
}

/** The value of an Authorization header. */
export function authorizationOf({ token, visitor }: Pass): string {
  if (token) return `Bearer ${token.value}`;
  if (!visitor.login) throw new TypeError('a pass without token or login');
  return visitor.login.basic();
}
