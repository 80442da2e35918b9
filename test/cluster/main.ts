import { statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openCluster, startCluster, stopCluster, type Cluster } from './cluster.js';
import { ClusterError } from './error.js';

const usage = `usage: npm run cluster -- up [--nodes N] | down | status

  up      starts a Slurm cluster with Stowage on this host, if it is not running
  down    stops it and removes all of it
  status  says what runs

Its directory is .cluster, or the one named by STOWAGE_CLUSTER.`;

const describe = async (cluster: Cluster): Promise<boolean> => {
  const daemons = cluster.daemons();
  for (const [name, pid] of daemons)
    console.log(`${name.padEnd(14)} ${pid === undefined ? 'DEAD' : `pid ${pid}`}`);
  const states = await cluster.nodeStates().catch(() => new Map<string, string>());
  for (const node of cluster.nodes) console.log(`${node.padEnd(14)} ${states.get(node) ?? 'unknown'}`);
  for (const [kind, lines] of Object.entries(cluster.leftovers() as unknown as Record<string, string[]>)) {
    for (const line of lines) console.log(`${kind.padEnd(14)} ${line}`);
  }
  return [...daemons.values()].every((pid) => pid !== undefined) && states.size === cluster.nodes.length;
};

const hint = (cluster: Cluster): void => {
  console.log(`registry       ${cluster.registryHost}`);
  console.log(`logs           ${cluster.layout.logs}`);
  console.log(`\nAs any user:   . ${cluster.layout.env}`);
  console.log(
    '               skopeo --insecure-policy copy --dest-tls-verify=false docker://busybox docker://$REGISTRY/busybox',
  );
  console.log('               cd /tmp && srun --image=$REGISTRY/busybox cat /etc/os-release');
};

const modified = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const up = async (nodes: number): Promise<void> => {
  const running = openCluster();
  const healthy =
    running?.nodes.length === nodes &&
    modified('build/built') < modified(running.layout.slurmConf) &&
    [...running.daemons().values()].every((pid) => pid !== undefined) &&
    (await running.waitUntilIdle(2_000).then(
      () => true,
      () => false,
    ));
  const cluster = healthy ? running : await startCluster({ nodes });
  await describe(cluster);
  hint(cluster);
};

const main = async (): Promise<number> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { nodes: { type: 'string', default: '1' }, help: { type: 'boolean', default: false } },
  });
  const nodes = Number(values.nodes);
  const [command, ...rest] = positionals;
  if (values.help) {
    console.log(usage);
  } else if (command === 'up' && rest.length === 0 && Number.isInteger(nodes) && nodes >= 1 && nodes <= 64) {
    await up(nodes);
  } else if (command === 'down' && rest.length === 0) {
    await stopCluster();
  } else if (command === 'status' && rest.length === 0) {
    const cluster = openCluster();
    if (cluster === undefined)
      throw new ClusterError('no cluster is running; start one with npm run cluster -- up');
    if (!(await describe(cluster))) return 1;
    hint(cluster);
  } else {
    console.error(usage);
    return 2;
  }
  return 0;
};

// As when a reader such as head(1) has seen enough.
process.stdout.on('error', () => process.exit(1));

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Error)) throw error;
  console.error(`cluster: ${error.message}`);
  if (error instanceof ClusterError && error.detail !== '') console.error(error.detail);
  process.exitCode = 1;
}
