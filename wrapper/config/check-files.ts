import { Authorities } from '../registry/authorities.js';
import type { Config } from './config.js';

/**
 * Looks into the files that the configuration names. Throws `config-invalid`, naming key and file. `path` is the
 * configuration's, for messages.
 */
export function checkFiles(config: Config, path: string): void {
  for (const [registry, { ca }] of Object.entries(config.registries)) {
    if (ca !== undefined) Authorities.read(ca, `configuration ${path}: ca of [registries."${registry}"]`);
  }
}
