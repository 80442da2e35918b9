import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import type { Daemons } from './daemons.js';
import type { Layout } from './layout.js';
import { account } from './users.js';

/** munged with a key and a socket of its own, beside any that the host may run. */
export const startMunge = async (layout: Layout, daemons: Daemons, signal?: AbortSignal): Promise<void> => {
  const { uid, gid } = account('munge');
  const directory = `${layout.data}/munge`;
  const key = `${directory}/key`;
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o755);
  chownSync(directory, uid, gid);
  if (!existsSync(key)) {
    writeFileSync(key, randomBytes(1024), { mode: 0o400 });
    chownSync(key, uid, gid);
  }
  const identity = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'];
  const files = [
    `--socket=${layout.mungeSocket}`,
    `--key-file=${key}`,
    ...['log', 'pid', 'seed'].map((kind) => `--${kind}-file=${directory}/${kind}`),
  ];
  daemons.start({ name: 'munged', argv: [...identity, 'munged', '--foreground', ...files] });
  await daemons.ready('munged', () => existsSync(layout.mungeSocket), signal);
};
