import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/**
 * A copy of a program, with those that it looks for beside itself, where an ordinary user can run it: the checkout
 * may lie in a directory that only its owner may enter. Gone when this process ends.
 */
export const reachable = (program: string): string => {
  const directory = mkdtempSync(join(tmpdir(), 'stowage-bin-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  chmodSync(directory, 0o755);
  const siblings = ['stowage-unpack', 'stowage-squashfuse', 'stowage-report', 'stowage-save'];
  for (const name of new Set([basename(program), ...siblings])) {
    const source = join(dirname(program), name);
    if (!existsSync(source)) continue;
    copyFileSync(source, join(directory, name));
    chmodSync(join(directory, name), 0o755);
  }
  return join(directory, basename(program));
};
