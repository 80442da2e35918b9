import { resolve } from 'node:path';

import type { Config } from '../config/config.js';
import { loadConfig, parseConfigFile } from '../config/load.js';
import { StowageError, systemErrorCode } from '../error.js';
import type { Surroundings } from './surroundings.js';

const siteFile = '/etc/stowage/stowage.toml';

/**
 * The configuration in `file`, or the site's, or the defaults where the site has none that this user may
 * read. Throws `config-invalid`.
 */
export function siteConfig(file: string | undefined, { cwd }: Surroundings): Config {
  if (file !== undefined) return loadConfig(resolve(cwd, file));
  try {
    return loadConfig(siteFile);
  } catch (error) {
    const reason = error instanceof StowageError ? systemErrorCode(error.cause) : undefined;
    if (!['ENOENT', 'EACCES', 'ENOTDIR'].includes(reason ?? '')) throw error;
    return parseConfigFile('', siteFile);
  }
}
