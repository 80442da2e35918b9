import type { RegistrySettings } from '../config/config.js';
import { StowageError } from '../error.js';
import { quote } from '../image/quote.js';
import { spellRegistry } from '../image/reference.js';
import { Authorities } from './authorities.js';
import { originOf } from './origin.js';

/** What the site says about one registry, read and checked. */
export interface RegistryRules {
  http: boolean;
  blocked: boolean;
  authorities: Authorities;
  mirrors: readonly Mirror[];
  /** Origins as URL.origin gives them. */
  tokenRealms: readonly string[];
}

export interface Mirror {
  /** host[:port] */
  registry: string;
  /** What stands before the repository there, with a "/" at the end; or empty. */
  prefix: string;
}

/** By the host[:port] of a reference, as in Config. */
export type Registries = Readonly<Record<string, Partial<RegistrySettings>>>;

const noRules: RegistryRules = {
  http: false,
  blocked: false,
  authorities: Authorities.ofSystem,
  mirrors: [],
  tokenRealms: [],
};

export class Rules {
  readonly #byRegistry: ReadonlyMap<string, RegistryRules>;

  /** Reads the files that are named. Throws `config-invalid`, naming the key. */
  constructor(registries: Registries) {
    this.#byRegistry = new Map(
      Object.entries(registries).map(([name, settings]) => [name, readRules(name, settings)]),
    );
  }

  of(registry: string): RegistryRules {
    return this.#byRegistry.get(registry) ?? noRules;
  }
}

function readRules(name: string, settings: Partial<RegistrySettings>): RegistryRules {
  const key = (last: string): string => `registries."${name}".${last}`;
  const { http = false, blocked = false, ca, mirrors = [], tokenRealms = [] } = settings;
  return {
    http,
    blocked,
    authorities: ca === undefined ? Authorities.ofSystem : Authorities.read(ca, key('ca')),
    mirrors: mirrors.map((text) => readMirror(text, key('mirrors'))),
    tokenRealms: tokenRealms.map((text) => readOrigin(text, key('token_realms'))),
  };
}

const mirrorExpression =
  /^((?:[a-z0-9][a-z0-9.-]*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)((?:\/[a-z0-9][a-z0-9._-]*)*)$/;

function readMirror(text: string, key: string): Mirror {
  const [, host = '', prefix = ''] = mirrorExpression.exec(text.toLowerCase()) ?? [];
  const registry = spellRegistry(host);
  if (registry === undefined) {
    throw new StowageError(
      'config-invalid',
      `${key}: ${quote(text)} is not "host", "host:port" or one of them with "/prefix"; http and ca of a mirror are set in its own [registries] section`,
    );
  }
  return { registry, prefix: prefix === '' ? '' : `${prefix.slice(1)}/` };
}

function readOrigin(text: string, key: string): string {
  const origin = originOf(text);
  if (origin === undefined) {
    throw new StowageError(
      'config-invalid',
      `${key}: ${quote(text)} is not "https://host" or "https://host:port" without anything behind it`,
    );
  }
  return origin;
}
