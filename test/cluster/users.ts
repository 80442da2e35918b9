import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ClusterError } from './error.js';

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** The ordinary users that submit jobs. */
const testUsers = ['stow-a', 'stow-b'] as const;
/** The account of stowaged: no login, no home, no capability. */
export const serviceUser = 'stowage';

const lookUp = (name: string): Account | undefined => {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  if (line === undefined) return undefined;
  const [, , uid, gid, , home] = line.split(':');
  return { name, uid: Number(uid), gid: Number(gid), home: home ?? '/' };
};

export const account = (name: string): Account => {
  const found = lookUp(name);
  if (found === undefined) throw new ClusterError(`user ${name} does not exist; run npm run setup`);
  return found;
};

export const makeMissingUsers = (): void => {
  const make = (...args: string[]) =>
    execFileSync('useradd', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  for (const name of testUsers) {
    if (lookUp(name) === undefined) make('--create-home', '--shell', '/bin/bash', name);
  }
  if (lookUp(serviceUser) === undefined) {
    make(
      '--system',
      '--user-group',
      '--no-create-home',
      '--home-dir',
      '/nonexistent',
      '--shell',
      '/usr/sbin/nologin',
      serviceUser,
    );
  }
};
