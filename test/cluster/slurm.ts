import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Daemons } from './daemons.js';
import { ClusterError } from './error.js';
import type { Layout } from './layout.js';
import { inNetwork } from './networks.js';
import { onNode } from './node-namespace.js';
import { waitFor } from './wait.js';

const exec = promisify(execFile);

export const slurmdName = (node: string): string => `slurmd-${node}`;

/** It answers an srun of a batch script where the node's own name leads. */
const withHosts = (layout: Layout, argv: readonly string[]): string[] => [
  ...['unshare', '--mount', '--propagation', 'private', '--'],
  ...['sh', '-c', 'mount --bind "$1" /etc/hosts && shift && exec "$@"', 'sh', layout.hosts],
  ...argv,
];

export const startSlurmctld = (layout: Layout, daemons: Daemons): void => {
  mkdirSync(`${layout.data}/slurmctld`, { recursive: true });
  daemons.start({
    name: 'slurmctld',
    output: 'slurmctld.err',
    argv: inNetwork(layout, daemons, withHosts(layout, ['slurmctld', '-D', '-f', layout.slurmConf])),
  });
};

const onOneProcessor = (): string[] => {
  const [first] = /(?<=^Cpus_allowed_list:\s*)\d+/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? ['0'];
  return ['taskset', '--cpu-list', first];
};

export const startSlurmd = (
  layout: Layout,
  daemons: Daemons,
  node: string,
  { oneProcessor }: { readonly oneProcessor: boolean },
): void => {
  mkdirSync(`${layout.data}/spool/${node}`, { recursive: true });
  const slurmd = onNode(layout, daemons, node, ['slurmd', '-D', '-f', layout.slurmConf, '-N', node]);
  const argv = [...(oneProcessor ? onOneProcessor() : []), ...slurmd];
  daemons.start({ name: slurmdName(node), output: `${slurmdName(node)}.err`, argv });
};

/** What sinfo calls the state of each node: "idle", "mixed", "drained", "down*". */
export const nodeStates = async (layout: Layout, daemons: Daemons): Promise<Map<string, string>> => {
  const sinfo = inNetwork(layout, daemons, ['sinfo', '--noheader', '--Node', '--format=%N %t']);
  const { stdout } = await exec(sinfo[0] ?? '', sinfo.slice(1), {
    env: { ...process.env, SLURM_CONF: layout.slurmConf },
  });
  return new Map(
    stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => [line.split(' ')[0] ?? '', line.split(' ')[1] ?? '']),
  );
};

const endOfLogs = (layout: Layout): string =>
  readdirSync(layout.logs)
    .filter((name) => name.startsWith('slurm') && name.endsWith('.log'))
    .map(
      (name) =>
        `${name}:\n${readFileSync(`${layout.logs}/${name}`, 'utf8').split('\n').slice(-8).join('\n')}`,
    )
    .join('\n');

/** Idle too is a node on which Slurm plans to start a job: it says so for up to half a minute after that job is gone. */
const isIdle = (state: string | undefined): boolean => state === 'idle' || state === 'plnd';

export const waitUntilIdle = async (
  layout: Layout,
  daemons: Daemons,
  nodes: readonly string[],
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> => {
  let seen = 'slurmctld does not answer';
  const idle = async () => {
    try {
      const states = await nodeStates(layout, daemons);
      seen = [...states].map(([node, state]) => `${node} ${state}`).join(', ');
      return nodes.every((node) => isIdle(states.get(node)));
    } catch {
      return false;
    }
  };
  try {
    await waitFor(idle, { failure: 'not all nodes became idle', timeoutMs, signal });
  } catch (cause) {
    if (!(cause instanceof ClusterError)) throw cause;
    throw new ClusterError(`${cause.message} (${seen})`, { cause, detail: endOfLogs(layout) });
  }
};
