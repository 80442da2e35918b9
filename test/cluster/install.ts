import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { ClusterError } from './error.js';

const built = [
  'build/lib/spank_stowage.so',
  'build/lib/stowage_addon.node',
  'build/libexec/shifter-inside',
  'build/libexec/stowage-enter',
  'build/libexec/stowage-exec',
  'build/libexec/stowage-unpack',
  'build/js/wrapper/stowage.js',
  'build/js/wrapper/stowaged.js',
];

/** Installs what was built below `prefix`, as a site does below /usr. */
export const install = (prefix: string): void => {
  const missing = built.filter((file) => !existsSync(file));
  if (missing.length > 0) throw new ClusterError(`${missing.join(', ')} not built; run npm run setup`);
  execFileSync(process.execPath, ['wrapper/install.mjs', prefix], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
};
