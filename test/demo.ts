import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCluster, stopCluster, type Cluster } from './cluster/cluster.js';
import { ClusterError } from './cluster/error.js';
import { progress } from './demo/progress.js';
import { printRanks, runExample } from './demo/ranks.js';
import { measure, printTimings } from './demo/timing.js';
import { debianImage } from './support/debian-image.js';
import { pushImage } from './support/oci-image.js';

const user = 'stow-a';

/** At rest nothing of any job may be left: no process, mount or tree, and every node idle. */
const checkRest = async (cluster: Cluster, signal: AbortSignal): Promise<void> => {
  await cluster.waitUntilIdle(15_000, signal);
  const { processes, mounts, trees } = cluster.leftovers();
  const left = [...processes, ...mounts, ...trees];
  if (left.length > 0) throw new Error(`the jobs left something behind:\n  ${left.join('\n  ')}`);
};

const demo = async (stateDirectory: string, signal: AbortSignal): Promise<void> => {
  const image = await progress('Making an image of Debian 13 with its own MPI (minutes, only once)', () =>
    debianImage(signal),
  );
  const cluster = await progress('Starting a Slurm cluster of two nodes', () =>
    startCluster({ stateDirectory, nodes: 2, signal }),
  );
  const reference = await progress('Pushing the image to a local registry', () =>
    pushImage(image, cluster.registryHost, 'demo/debian-mpi:13', signal),
  );
  const ranks = await progress(`Running sbatch-hello-mpi.sh as ${user}, #SBATCH --image=${reference}`, () =>
    runExample(cluster, user, reference, signal),
  );
  console.log();
  printRanks(ranks);
  console.log();
  const timings = await progress('Measuring srun with and without the image', () =>
    measure(cluster, user, reference, signal),
  );
  console.log();
  printTimings(timings);
  console.log();
  await checkRest(cluster, signal);
};

const stopped = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => stopped.abort(new Error(`stopped by ${name}`)));
}
const stateDirectory = mkdtempSync(join(tmpdir(), 'stowage-demo-'));
try {
  await demo(stateDirectory, stopped.signal);
} catch (error) {
  const reason = stopped.signal.aborted ? (stopped.signal.reason as unknown) : error;
  console.error(`\ndemo: ${reason instanceof Error ? reason.message : String(reason)}`);
  if (reason instanceof ClusterError && reason.detail !== '') console.error(reason.detail);
  process.exitCode = 1;
} finally {
  await progress('Cleaning up', () => stopCluster(stateDirectory));
}
