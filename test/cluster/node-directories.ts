import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { nodePaths, type Layout } from './layout.js';
import { mountTrees } from './mounts.js';
import { account, serviceUser } from './users.js';

const makeDirectory = (path: string, mode: number, uid: number, gid: number): void => {
  mkdirSync(path, { recursive: true });
  chmodSync(path, mode);
  chownSync(path, uid, gid);
};

/** hosts(5) in which each of these names leads here; the first is what this address is called. */
export const hostsFile = (names: readonly string[]): string =>
  [...names.map((name) => `127.0.0.1 ${name}`), readFileSync('/etc/hosts', 'utf8')].join('\n');

/** What a node has before its daemons start, on the host below `layout.nodes`. */
export const makeNodeDirectories = (layout: Layout, node: string, all: readonly string[]): void => {
  const { fuse, hosts, tmp, run, store, trees } = nodePaths(`${layout.nodes}/${node}`);
  const service = account(serviceUser);
  makeDirectory(tmp, 0o1777, 0, 0);
  writeFileSync(hosts, hostsFile([node, ...all.filter((other) => other !== node)]));
  // As udev makes it, for everybody; on a machine for tests it may be root's.
  execFileSync('mknod', ['--mode=666', fuse, 'c', '10', '229']);
  // RuntimeDirectory= and StateDirectory= of stowaged.service.
  makeDirectory(run, 0o755, service.uid, service.gid);
  makeDirectory(store, 0o700, service.uid, service.gid);
  mountTrees(layout, trees);
};
