import { AnonymousTokens } from './anonymous-tokens.js';
import type { ExchangeCount } from './exchange-counts.js';
import { type HttpLimits, HttpTransport } from './http.js';
import type { AskLogin } from './login.js';
import { RestingMirrors } from './mirrors.js';
import type { RetryLimits } from './patience.js';
import { type Registries, Rules } from './rules.js';
import { RegistrySession } from './session.js';

export type { FetchedManifest, Waiting } from './session.js';

export interface RegistryClientOptions {
  limits: HttpLimits & RetryLimits;
  /** By the host[:port] of a reference. Without an entry: https, and no mirrors. */
  registries: Registries;
}

/** What outlives the single request: connections, tokens that anybody gets, and what the site says. */
export class RegistryClient {
  readonly #common;

  /** Throws `config-invalid` if a setting cannot be used or a file that it names cannot be read. */
  constructor({ limits, registries }: RegistryClientOptions) {
    this.#common = {
      transport: new HttpTransport(limits),
      tokens: new AnonymousTokens(),
      resting: new RestingMirrors(),
      limits,
      rules: new Rules(registries),
    };
  }

  /** For one request; `ask` is asked for a login when a registry wants one. Without it: as nobody in particular. */
  session(ask?: AskLogin): RegistrySession {
    return new RegistrySession(this.#common, ask);
  }

  /**
   * Goes on with another configuration, also for sessions that are open; transfers under way go on as they
   * began. Throws `config-invalid`, and then nothing has changed.
   */
  update({ limits, registries }: RegistryClientOptions): void {
    const rules = new Rules(registries);
    Object.assign(this.#common, { limits, rules });
    this.#common.transport.update(limits);
    this.#common.tokens.clear();
    this.#common.resting.clear();
  }

  /** Requests to registries and to what they refer to, such as services for tokens. */
  get exchanges(): readonly ExchangeCount[] {
    return this.#common.transport.exchanges.list();
  }

  close(): void {
    this.#common.transport.close();
  }
}
