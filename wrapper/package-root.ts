import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The directory that holds package.json: the checkout, or PREFIX/lib/stowage once installed. */
export const packageRoot = findPackageRoot(dirname(fileURLToPath(import.meta.url)));

/** The release, such as "0.1.0". */
export const release = releaseOf(packageRoot);

/** The number of the contract in proto/stowage/v1; both ends must have the same. */
export const protocol = 5;

function findPackageRoot(start: string): string {
  for (let directory = start; ; directory = dirname(directory)) {
    if (existsSync(join(directory, 'package.json'))) return directory;
    if (directory === '/') throw new Error(`no package.json above ${start}: Stowage is not fully installed`);
  }
}

function releaseOf(directory: string): string {
  const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
    version?: unknown;
  };
  return typeof version === 'string' ? version : 'unknown';
}
