import type { Layout } from './layout.js';
import { treesSource } from './mounts.js';
import {
  allProcesses,
  commandLine,
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

/**
 * Processes of this cluster, those included that no record knows: steps, containers, clients left waiting.
 * They live in a mount namespace of the cluster, or are Slurm's commands with its configuration, or
 * daemons with its files.
 */
export const strays = (layout: Layout): ProcessFacts[] => {
  const host = mountNamespace('self');
  return allProcesses().filter(({ pid, command }) => {
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
