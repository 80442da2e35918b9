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

/** A node and where it is reached. */
export interface Host {
  readonly name: string;
  readonly address: string;
}

/** hosts(5): the first of several names with one address is what that address is called. */
export const hostsFile = (hosts: readonly Host[]): string =>
  [...hosts.map(({ name, address }) => `${address} ${name}`), readFileSync('/etc/hosts', 'utf8')].join('\n');

/** What a node has before its daemons start, on the host below `layout.nodes`. */
export const makeNodeDirectories = (layout: Layout, node: Host, all: readonly Host[]): void => {
  const { cgroup, fuse, hosts, tmp, run, store, trees } = nodePaths(`${layout.nodes}/${node.name}`);
  const service = account(serviceUser);
  makeDirectory(tmp, 0o1777, 0, 0);
  makeDirectory(cgroup, 0o755, 0, 0);
  writeFileSync(hosts, hostsFile([node, ...all.filter((other) => other.name !== node.name)]));
  // As udev makes it, for everybody; on a machine for tests it may be root's.
  execFileSync('mknod', ['--mode=666', fuse, 'c', '10', '229']);
  // RuntimeDirectory= and StateDirectory= of stowaged.service.
  makeDirectory(run, 0o755, service.uid, service.gid);
  makeDirectory(store, 0o700, service.uid, service.gid);
  mountTrees(layout, trees);
};
