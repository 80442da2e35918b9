/** What steps leave on a node for those that follow, and steps that have to live with it. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, lstatSync, readdirSync } from 'node:fs';

import { nodePaths } from '../cluster/layout.js';
import { account } from '../cluster/users.js';
import { user, type Site } from './cluster-suite.js';

/** Where the unpacked images of the user are on that node. */
export const treesDirectory = (site: Site, node: string): string =>
  `${nodePaths(`${site.cluster.layout.nodes}/${node}`).trees}/${account(user).uid}`;

/** The trees of the user on the node, each with what changes when it is made again. */
export const treesOn = (site: Site, node: string): string[] => {
  const trees = treesDirectory(site, node);
  return readdirSync(trees)
    .filter((name) => !/\.(lock|mount)$/.test(name))
    .sort()
    .map((name) => {
      const { ino, ctimeMs, mtimeMs } = lstatSync(`${trees}/${name}`);
      return `${name} ${ino} ${ctimeMs} ${mtimeMs}`;
    });
};

/** Runs while no image can be unpacked. */
export const withoutUnpacker = async <T>(site: Site, action: () => Promise<T>): Promise<T> => {
  const unpacker = `${site.cluster.layout.prefix}/libexec/stowage/stowage-unpack`;
  assert.ok(existsSync(unpacker));
  chmodSync(unpacker, 0);
  try {
    return await action();
  } finally {
    chmodSync(unpacker, 0o755);
  }
};

/** An allocation of node n1, in which trees stay from step to step; `srun` starts one task there. */
export const inAllocation = async (site: Site, use: (srun: string) => Promise<void>): Promise<void> => {
  const { stderr } = await site.run('salloc --no-shell --nodelist=n1');
  const job = /Granted job allocation (\d+)/.exec(stderr)?.[1];
  assert.ok(job, stderr);
  try {
    await use(`srun --jobid=${job} -n1`);
  } finally {
    await site.run(`scancel ${job}`);
  }
};
