import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { ClusterError } from './error.js';
import type { Layout } from './layout.js';
import { processFacts } from './proc.js';
import { waitFor } from './wait.js';

interface DaemonRecord {
  readonly name: string;
  readonly pid: number;
  readonly startTicks: number;
}

export interface DaemonCommand {
  /** Unique in the cluster: "slurmd-n1". */
  readonly name: string;
  /** File among the logs for what it prints. Default: NAME.log; other for those that write that one. */
  readonly output?: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The daemons of one cluster. They outlive this process, so their pids are written down together with
 * their start times: a pid alone may belong to somebody else tomorrow.
 */
export class Daemons {
  readonly #layout: Layout;
  readonly #file: string;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#file = `${layout.data}/daemons.json`;
  }

  #recorded(): DaemonRecord[] {
    try {
      return JSON.parse(readFileSync(this.#file, 'utf8')) as DaemonRecord[];
    } catch {
      return [];
    }
  }

  #record(records: readonly DaemonRecord[]): void {
    writeFileSync(`${this.#file}.new`, JSON.stringify(records));
    renameSync(`${this.#file}.new`, this.#file);
  }

  /** The pid of the daemon while it lives. */
  pid(name: string): number | undefined {
    const record = this.#recorded().find((entry) => entry.name === name);
    return record !== undefined && processFacts(record.pid)?.startTicks === record.startTicks
      ? record.pid
      : undefined;
  }

  names(): string[] {
    return this.#recorded().map((record) => record.name);
  }

  logFile(name: string): string {
    return `${this.#layout.logs}/${name}.log`;
  }

  /** Starts the daemon unless it runs. Returns once the process exists, not when it answers. */
  start({ name, output = `${name}.log`, argv, env = {} }: DaemonCommand): void {
    if (this.pid(name) !== undefined) return;
    const [program, ...args] = argv;
    const log = openSync(`${this.#layout.logs}/${output}`, 'a', 0o644);
    const child = spawn(program ?? '', args, {
      cwd: '/',
      detached: true,
      env: { PATH: systemPath, LANG: 'C.UTF-8', ...env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.on('error', () => {
      // Told below by the missing pid.
    });
    const facts = child.pid === undefined ? undefined : processFacts(child.pid);
    if (facts === undefined) throw new ClusterError(`cannot start ${program ?? name}; run npm run setup`);
    child.unref();
    const others = this.#recorded().filter((record) => record.name !== name);
    this.#record([...others, { name, pid: facts.pid, startTicks: facts.startTicks }]);
  }

  /** Waits until `probe` succeeds; a daemon that dies meanwhile is reported with the end of its log. */
  async ready(name: string, probe: () => boolean | Promise<boolean>, signal?: AbortSignal): Promise<void> {
    const lastLines = () =>
      readFileSync(this.logFile(name), 'utf8').trimEnd().split('\n').slice(-10).join('\n');
    await waitFor(
      async () => {
        if (await probe()) return true;
        if (this.pid(name) === undefined) {
          throw new ClusterError(`${name} stopped while starting; see ${this.logFile(name)}`, {
            detail: lastLines(),
          });
        }
        return false;
      },
      {
        failure: `${name} did not come up (see ${this.logFile(name)})`,
        timeoutMs: 20_000,
        signal,
      },
    );
  }

  /** Sends the signal to the daemon alone and waits until it is gone. SIGTERM becomes SIGKILL in the end. */
  async stop(name: string, signalName: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const pid = this.pid(name);
    if (pid !== undefined) {
      process.kill(pid, signalName);
      const gone = () => this.pid(name) === undefined;
      try {
        await waitFor(gone, { failure: `${name} did not stop`, timeoutMs: 8_000, intervalMs: 20 });
      } catch {
        if (this.pid(name) === pid) process.kill(pid, 'SIGKILL');
        await waitFor(gone, { failure: `${name} survived SIGKILL`, timeoutMs: 8_000, intervalMs: 20 });
      }
    }
    this.#record(this.#recorded().filter((record) => record.name !== name));
  }
}
