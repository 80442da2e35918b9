import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { ClusterError } from './error.js';
import type { Layout } from './layout.js';
import { mountsOf } from './proc.js';

/** What shows up as the source of every mount of a tree of this cluster. */
export const treesSource = (layout: Layout): string => `stowage-trees-${layout.id}`;

const example = 'slurm-conf-examples/run-stowage-trees.mount';

/** Mounts the place for unpacked images with the options of the shipped unit. */
export const mountTrees = (layout: Layout, directory: string): void => {
  // In a unit file a percent sign is written twice: systemd.unit(5).
  const options = /^Options=(.*)$/m.exec(readFileSync(example, 'utf8'))?.[1]?.replaceAll('%%', '%');
  if (options === undefined) throw new ClusterError(`${example} has no line Options=`);
  mkdirSync(directory, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, treesSource(layout), directory]);
};

/** Everything mounted below the cluster's directory, innermost first. */
export const unmountAll = (layout: Layout): void => {
  const inside = mountsOf('self')
    .map((mount) => mount.mountPoint)
    .filter((point) => point.startsWith(`${layout.data}/`));
  for (const point of inside.reverse()) execFileSync('umount', [point]);
};
