import { existsSync, readdirSync } from 'node:fs';
import type { Layout } from './layout.js';
import { treesSource } from './mounts.js';
import {
  allProcesses,
  commandLine,
  identityOf,
  mountNamespace,
  mountsOf,
  startEnvironment,
  type MountEntry,
  type ProcessFacts,
} from './proc.js';
import { waitFor } from './wait.js';

const clients = new Set(['srun', 'sbatch', 'salloc']);
const daemons = new Set(['munged', 'slurmctld', 'slurmd', 'docker-registry']);

/**
 * Whether that mount exists only where something of this cluster runs. The mounts below `layout.nodes` are
 * the host's own and therefore show up in the namespaces of unrelated programs as well.
 */
export const isOurs = (layout: Layout, { mountPoint, line }: MountEntry): boolean =>
  !mountPoint.startsWith(`${layout.nodes}/`) &&
  (line.includes(`${layout.data}/`) || line.includes(` ${treesSource(layout)} `));

/** Device and inode of each program that Stowage runs in steps, as installed in this cluster. */
const installedHelpers = (layout: Layout): Set<string> => {
  const directory = `${layout.prefix}/libexec/stowage`;
  if (!existsSync(directory)) return new Set();
  return new Set(readdirSync(directory).map((name) => identityOf(`${directory}/${name}`) ?? ''));
};

/**
 * Processes of this cluster, those included that no record knows: steps, containers, clients left waiting.
 * They live in a mount namespace of the cluster, or are Slurm's commands with its configuration, or
 * daemons with its files, or run its programs in an empty namespace of their own.
 */
export const strays = (layout: Layout): ProcessFacts[] => {
  const host = mountNamespace('self');
  const helpers = installedHelpers(layout);
  return allProcesses().filter(({ pid, command }) => {
    if (helpers.has(identityOf(`/proc/${pid}/exe`) ?? 'none')) return true;
    if (clients.has(command) && startEnvironment(pid, 'SLURM_CONF') === layout.slurmConf) return true;
    if (daemons.has(command) && commandLine(pid).includes(`${layout.data}/`)) return true;
    const namespace = mountNamespace(pid);
    if (namespace === undefined || namespace === host) return false;
    return mountsOf(pid).some((mount) => isOurs(layout, mount));
  });
};

/** Kills them all and waits until they are gone. */
export const sweep = async (layout: Layout): Promise<void> => {
  const none = () => {
    const left = strays(layout);
    for (const { pid } of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone already.
      }
    }
    return left.length === 0;
  };
  await waitFor(none, { failure: 'processes of the cluster do not end', timeoutMs: 10_000 });
};
