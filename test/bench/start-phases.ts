import { median } from '../support/median.js';
import type { TraceEvent } from './step-trace.js';
import { table } from './table.js';

/** What happens on the node between the fork of the rank that leads and the program of the last one; milliseconds. */
export interface Phases {
  /** From the fork of the rank that leads to its fork of stowage-enter: Slurm prepares all ranks. */
  readonly slurm: number;
  /** To the exec of stowage-enter. */
  readonly fork: number;
  /** To its request to stowaged: dynamic linker, account, tree store, names of the trees. */
  readonly begin: number;
  /** To its own namespaces: stowaged's answer, the lock of the tree. */
  readonly prepare: number;
  /** To pivot_root: overlay, binds, accounts. */
  readonly mount: number;
  /** To its end: holder, environment, answer. */
  readonly finish: number;
  /** To the exec of the program by the rank that leads: setns, the image's environment, TaskProlog, PATH. */
  readonly join: number;
  /** To that of the last rank. */
  readonly others: number;
}

/** The phases of each step of which there is all, in the order in which the steps began. `helper` is the path of stowage-enter. */
export const phasesOf = (events: readonly TraceEvent[], helper: string): Phases[] => {
  const parents = new Map<number, number>();
  for (const { name, detail } of events) {
    const forked = /\bpid=(\d+) child_comm=.* child_pid=(\d+)/.exec(detail);
    if (name === 'sched_process_fork' && forked) parents.set(Number(forked[2]), Number(forked[1]));
  }
  return events
    .filter(({ name, detail }) => name === 'sched_process_exec' && detail.startsWith(`filename=${helper} `))
    .flatMap((exec) => phasesOfStep(events, parents, exec) ?? []);
};

const phasesOfStep = (
  events: readonly TraceEvent[],
  parents: ReadonlyMap<number, number>,
  exec: TraceEvent,
): Phases | undefined => {
  const leader = parents.get(exec.pid);
  const slurmstepd = leader === undefined ? undefined : parents.get(leader);
  const at = (name: string, pid: number | undefined): number | undefined =>
    events.find((event) => event.name === name && event.pid === pid && event.ms >= exec.ms)?.ms;
  const fork = (child: number | undefined): number | undefined =>
    events.find(({ name, detail }) => name === 'sched_process_fork' && detail.endsWith(`child_pid=${child}`))
      ?.ms;
  const forked = fork(leader);
  const started = fork(exec.pid);
  const programs = [...parents]
    .filter(([, parent]) => parent === slurmstepd)
    .map(([rank]) => (at('sys_setns', rank) === undefined ? undefined : at('sched_process_exec', rank)))
    .filter((ms) => ms !== undefined);
  const request = at('sys_sendto', exec.pid);
  const unshare = at('sys_unshare', exec.pid);
  const pivot = at('sys_pivot_root', exec.pid);
  const exit = at('sched_process_exit', exec.pid);
  const first = at('sched_process_exec', leader);
  if (!forked || !started || !request || !unshare || !pivot || !exit || !first) return undefined;
  return {
    slurm: started - forked,
    fork: exec.ms - started,
    begin: request - exec.ms,
    prepare: unshare - request,
    mount: pivot - unshare,
    finish: exit - pivot,
    join: first - exit,
    others: Math.max(...programs) - first,
  };
};

export const phaseTable = (measured: readonly { name: string; phases: readonly Phases[] }[]): string[] => {
  const names = Object.keys(measured[0]?.phases[0] ?? {}) as (keyof Phases)[];
  return table([
    ['phase', ...names],
    ...measured.map(({ name, phases }) => [
      name,
      ...names.map((phase) => `${median(phases.map((each) => each[phase])).toFixed(2)} ms`),
    ]),
  ]);
};
