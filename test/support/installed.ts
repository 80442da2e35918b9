import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { install } from '../cluster/install.js';

let prefix: string | undefined;

/** A program of an installation that everybody may use, and that is gone when this process ends. */
export const installed = (program: 'stowage' | 'stowaged'): string => {
  if (prefix === undefined) {
    const directory = mkdtempSync(join(tmpdir(), 'stowage-prefix-'));
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
    chmodSync(directory, 0o755);
    install(directory);
    prefix = directory;
  }
  return join(prefix, 'bin', program);
};
