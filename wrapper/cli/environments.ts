import { resolve } from 'node:path';

import { escapeControls } from '../image/quote.js';
import { parseArguments } from './arguments.js';
import type { Command } from './command.js';
import type { Surroundings } from './surroundings.js';
import { formatTable } from './table.js';
import { UsageError } from './usage-error.js';

const siteDirectory = '/etc/stowage/environments';

const usage = `usage: stowage environments [OPTION...]

Lists the named environments that --image=@NAME finds on this machine, with their images and files.

  --site DIR       where the site keeps its own (default: ${siteDirectory})
  --json           print one JSON object, whose members stowage(1) explains
`;

async function run(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const { options, operands } = parseArguments(args, { site: 'value', json: 'flag' });
  if (operands.length > 0)
    throw new UsageError('environments wants no arguments; "stowage environments --help" says more');
  // Only when it is needed: it reads TOML, and most commands never do.
  const { environmentDirectories, findEnvironments } = await import('./environment-files.js');
  const site = resolve(surroundings.cwd, options.site ?? siteDirectory);
  const environments = findEnvironments(environmentDirectories(surroundings, site), surroundings.env);
  if (options.json) {
    surroundings.stdout.write(`${JSON.stringify({ environments }, null, 2)}\n`);
    return;
  }
  const rows = environments.map(({ name, image, file }) => [name, image ?? '-', file]);
  surroundings.stdout.write(formatTable(['NAME', 'IMAGE', 'FILE'], rows));
  for (const { problem } of environments) {
    if (problem !== null) surroundings.stderr.write(`stowage: ${escapeControls(problem)}\n`);
  }
}

export const environments: Command = {
  name: 'environments',
  summary: 'list the environments that --image=@NAME finds',
  usage,
  run,
};
