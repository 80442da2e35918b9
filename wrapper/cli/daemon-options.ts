import { resolve } from 'node:path';

import { siteConfig } from './site-config.js';
import type { Surroundings } from './surroundings.js';
import { UsageError } from './usage-error.js';

/** What the commands that ask stowaged have in common. */
export const daemonOptions = { config: 'value', socket: 'value', help: 'flag' } as const;

export const daemonUsage = `  --config FILE    the socket is listen.socket of this file, by default /etc/stowage/stowage.toml
  --socket PATH    ask the stowaged that listens there
  --help           say how it is called, and exit
`;

/** Where the daemon listens. Throws UsageError, or `config-invalid`. */
export function daemonSocket(
  { config, socket }: { config?: string; socket?: string },
  surroundings: Surroundings,
): string {
  if (config !== undefined && socket !== undefined) {
    throw new UsageError('--config and --socket exclude each other');
  }
  return socket === undefined
    ? siteConfig(config, surroundings).listen.socket
    : resolve(surroundings.cwd, socket);
}
