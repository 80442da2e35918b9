import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One event of the kernel. */
export interface TraceEvent {
  readonly ms: number;
  readonly pid: number;
  /** "sched_process_exec", "sys_unshare" … */
  readonly name: string;
  /** "filename=/bin/true pid=7 old_pid=7" */
  readonly detail: string;
}

/** Few enough that looking at them costs nothing that could be measured. */
const events = [
  ...['sched/sched_process_fork', 'sched/sched_process_exec', 'sched/sched_process_exit'],
  ...['sendto', 'unshare', 'pivot_root', 'setns'].map((call) => `syscalls/sys_enter_${call}`),
];

/** Collects when processes begin, execute and end, and when they make some calls: an instance of tracefs of its own. */
export class StepTrace {
  private constructor(
    private readonly mountPoint: string,
    private readonly instance: string,
  ) {}

  static start(): StepTrace {
    const mountPoint = mkdtempSync(join(tmpdir(), 'stowage-tracefs-'));
    execFileSync('mount', ['-t', 'tracefs', 'tracefs', mountPoint]);
    const instance = `${mountPoint}/instances/stowage-${process.pid}-${Date.now()}`;
    mkdirSync(instance);
    const trace = new StepTrace(mountPoint, instance);
    try {
      writeFileSync(`${instance}/buffer_size_kb`, '8192');
      writeFileSync(`${instance}/trace_clock`, 'mono');
      for (const event of events) writeFileSync(`${instance}/events/${event}/enable`, '1');
      return trace;
    } catch (error) {
      trace.stop();
      throw error;
    }
  }

  /** What has happened so far, in order. */
  read(): TraceEvent[] {
    return parseTrace(readFileSync(`${this.instance}/trace`, 'utf8'));
  }

  stop(): void {
    rmdirSync(this.instance);
    execFileSync('umount', [this.mountPoint]);
    rmdirSync(this.mountPoint);
  }
}

/** "  srun-71  [001] d..1.  123.456789: sched_process_exit: comm=srun pid=71 prio=120" */
export const parseTrace = (text: string): TraceEvent[] =>
  [...text.matchAll(/^ *\S.*-(\d+) +\[\d+\] +\S+ +(\d+\.\d+): ([a-z_0-9]+)(?:\(|: ?)(.*)$/gm)].map(
    ([, pid, seconds, name = '', detail = '']) => ({
      ms: Number(seconds) * 1000,
      pid: Number(pid),
      name,
      detail,
    }),
  );
