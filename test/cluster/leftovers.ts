import { readdirSync } from 'node:fs';
import type { Daemons } from './daemons.js';
import { nodePaths, type Layout } from './layout.js';
import { allProcesses, mountNamespace, mountsOf } from './proc.js';
import { isOurs, strays } from './sweep.js';

/** What a step has left behind, each as a line for a person; all empty on a cluster at rest. */
export interface Leftovers {
  readonly processes: string[];
  readonly mounts: string[];
  /** Paths below the trees directory of a node: trees, half-made trees, locks. */
  readonly trees: string[];
}

const entriesOf = (directory: string): string[] => {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
};

export const leftovers = (layout: Layout, daemons: Daemons, nodes: readonly string[]): Leftovers => {
  const daemonPids = new Set(daemons.names().map((name) => daemons.pid(name)));
  // It has a child that runs scripts.
  const slurmctld = daemons.pid('slurmctld');
  const processes = strays(layout)
    .filter(({ pid, parent }) => !daemonPids.has(pid) && parent !== slurmctld)
    .map(({ pid, command }) => `${command} (pid ${pid})`);

  const atRest = new Set(['self' as const, ...daemonPids].map((pid) => pid && mountNamespace(pid)));
  const mounts = new Set<string>();
  for (const { pid } of allProcesses()) {
    const namespace = mountNamespace(pid);
    if (namespace === undefined || atRest.has(namespace)) continue;
    for (const mount of mountsOf(pid)) {
      if (isOurs(layout, mount)) mounts.add(`${mount.mountPoint} in the namespace of pid ${pid}`);
    }
  }
  // A daemon's namespace holds what node-namespace.ts and networks.ts mount, once each, and nothing else of ours.
  const expected = new Set([layout.node, nodePaths(layout.node).trees, '/tmp', '/etc/hosts', '/dev/fuse']);
  for (const pid of daemonPids) {
    if (pid === undefined) continue;
    const seen = new Set<string>();
    for (const mount of mountsOf(pid)) {
      if (!isOurs(layout, mount)) continue;
      if (mount.mountPoint.startsWith(`${layout.networks}/`)) continue;
      if (!expected.has(mount.mountPoint) || seen.has(mount.mountPoint)) {
        mounts.add(`${mount.mountPoint} in the namespace of the daemon ${pid}`);
      }
      seen.add(mount.mountPoint);
    }
  }

  const trees = nodes.flatMap((node) => {
    const directory = nodePaths(`${layout.nodes}/${node}`).trees;
    return entriesOf(directory).flatMap((uid) =>
      entriesOf(`${directory}/${uid}`).map((name) => `${directory}/${uid}/${name}`),
    );
  });
  return { processes, mounts: [...mounts], trees };
};
