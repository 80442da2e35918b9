import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

import { packageRoot } from '../package-root.js';
import { CommandError } from './command-error.js';

/** Installed beside the one that runs, or STOWAGE_UNPACK. Throws CommandError if it is not there. */
export function findUnpacker(env: Readonly<NodeJS.ProcessEnv>): string {
  return find('stowage-unpack', env['STOWAGE_UNPACK']);
}

/** The same of stowage-enter and STOWAGE_ENTER. */
export function findEnter(env: Readonly<NodeJS.ProcessEnv>): string {
  return find('stowage-enter', env['STOWAGE_ENTER']);
}

function find(program: string, named = ''): string {
  const places =
    named === ''
      ? [join(packageRoot, 'build/libexec', program), join(packageRoot, '../../libexec/stowage', program)]
      : [named];
  for (const place of places) {
    try {
      accessSync(place, constants.X_OK);
      return place;
    } catch {
      // The next place may have it.
    }
  }
  throw new CommandError(
    `${program} is missing (looked for ${places.join(' and ')}): install all of Stowage, or build it with "npm run build"`,
  );
}
