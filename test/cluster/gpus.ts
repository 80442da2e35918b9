import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { nodePaths, type Layout } from './layout.js';

/** Where that GPU is, as each node sees it: another node for the null device of the kernel. */
export const gpuFile = (layout: Layout, index: number | string): string =>
  `${nodePaths(layout.node).gpus}/nvidia${index}`;

/** gres.conf(5), beside slurm.conf, and the files of which it speaks. */
export const makeGpus = (layout: Layout, nodes: readonly string[], count: number): void => {
  if (count === 0) return;
  for (const node of nodes) {
    const { gpus } = nodePaths(`${layout.nodes}/${node}`);
    mkdirSync(gpus, { recursive: true });
    for (const index of [...Array(count).keys(), 'ctl'])
      execFileSync('mknod', ['--mode=666', `${gpus}/nvidia${index}`, 'c', '1', '3']);
  }
  const files = gpuFile(layout, `[0-${count - 1}]`);
  writeFileSync(`${dirname(layout.slurmConf)}/gres.conf`, `Name=gpu File=${files}\n`);
};
