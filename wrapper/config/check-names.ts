import { isKind, parseDeviceName } from '../cdi/names.js';
import { reasonOf } from '../error.js';
import { namesRegistry, parseReference, spellRegistry } from '../image/reference.js';
import { problemOfPattern } from '../policy/allowed.js';
import { originOf } from '../registry/origin.js';
import type { ConfigFile } from './schema.js';

/** Calls `refuse` for a name of an image or registry, or a pattern for such names, that cannot be used. */
export function checkNames(file: ConfigFile, refuse: (problem: string) => never): void {
  for (const [name, target] of Object.entries(file.short_names.aliases)) {
    const key = `short_names.aliases."${name}"`;
    if (!isBareName(name)) {
      refuse(`${key} is no short name: that has neither a registry nor a tag, as in "ubuntu" or "team/app"`);
    }
    checkAliasTarget(key, target, refuse);
  }
  for (const list of ['allow', 'deny'] as const) {
    file.policy[list].forEach((pattern, i) => {
      const problem = problemOfPattern(pattern);
      if (problem !== undefined) refuse(`policy.${list}.${i} "${pattern}" ${problem}`);
    });
  }
  file.cdi.default.forEach((name, i) => {
    if (!parseDeviceName(name))
      refuse(`cdi.default.${i} must be "vendor/class=name", as in "site.example/mpi=cray", not "${name}"`);
  });
  file.cdi.gpu_kinds.forEach((kind, i) => {
    if (!isKind(kind))
      refuse(`cdi.gpu_kinds.${i} must be "vendor/class", as in "nvidia.com/gpu", not "${kind}"`);
  });
  const known = new Map<string, string>();
  for (const [registry, { mirrors, token_realms: realms }] of Object.entries(file.registries)) {
    const spelled = spellRegistry(registry);
    if (spelled === undefined) refuse(`registries."${registry}" is no host or host:port`);
    const other = known.get(spelled);
    if (other !== undefined)
      refuse(`registries."${registry}" and registries."${other}" are the same registry`);
    known.set(spelled, registry);
    mirrors.forEach((mirror, i) => {
      // Whatever stands behind the registry is put in front of the repository.
      if (!isReference(`${mirror}/x`) || !namesRegistry(`${mirror}/x`)) {
        refuse(
          `registries."${registry}".mirrors.${i} must be "host[:port]" or "host[:port]/prefix", without "https://"`,
        );
      }
    });
    realms.forEach((realm, i) => {
      if (originOf(realm) === undefined) {
        refuse(
          `registries."${registry}".token_realms.${i} must be "https://host" or "https://host:port" without anything behind it`,
        );
      }
    });
  }
}

function checkAliasTarget(key: string, target: string, refuse: (problem: string) => never): void {
  if (target.includes('@')) refuse(`${key} must not hold a digest: the user's tag would mean nothing`);
  if (!namesRegistry(target.replace(/:[^/:]*$/, ''))) {
    refuse(`${key} must be a full name with its registry, as in "registry.example.org/ai/pytorch"`);
  }
  try {
    parseReference(target);
  } catch (error) {
    refuse(`${key}: ${reasonOf(error)}`);
  }
}

function isBareName(name: string): boolean {
  return !/[:@#]/.test(name) && !namesRegistry(name) && isReference(name);
}

function isReference(text: string): boolean {
  try {
    parseReference(text);
    return true;
  } catch {
    return false;
  }
}
