import type { Reference } from '../image/reference.js';
import type { RegistryRules, Rules } from './rules.js';

/** A place that a repository can be had from. */
export interface Endpoint {
  /** host[:port]: how settings, logins and sentences call it. */
  registry: string;
  /** The repository's name there. */
  repository: string;
  /** "https://registry-1.docker.io": where a login for `registry` may go. */
  origin: string;
  rules: RegistryRules;
  isMirror: boolean;
}

/** The mirrors in the site's order, and last the registry itself. */
export function endpointsOf({ registry, repository }: Reference, rules: Rules): Endpoint[] {
  return [
    ...rules
      .of(registry)
      .mirrors.map((mirror) => endpoint(mirror.registry, `${mirror.prefix}${repository}`, rules, true)),
    endpoint(registry, repository, rules, false),
  ];
}

function endpoint(registry: string, repository: string, all: Rules, isMirror: boolean): Endpoint {
  const rules = all.of(registry);
  // docker.io is a name, not a host.
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  const { origin } = new URL(`${rules.http ? 'http' : 'https'}://${host}`);
  return { registry, repository, origin, rules, isMirror };
}
