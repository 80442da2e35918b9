import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ordinaryUser } from '../unpack/sandbox.js';
import { waitFor } from '../cluster/wait.js';
import { installed } from './installed.js';

/** The installed stowaged as a process of its own, of an ordinary user, with a store of its own. */
export class InstalledDaemon {
  readonly directory = mkdtempSync(join(tmpdir(), 'stowaged-'));
  readonly apiSocket = join(this.directory, 'api.sock');
  readonly blobSocket = join(this.directory, 'blobs.sock');
  readonly #config = join(this.directory, 'stowage.toml');
  #process: ChildProcess | undefined;
  #log = '';

  private constructor(
    more: string,
    private readonly openFiles: number | undefined,
  ) {
    chmodSync(this.directory, 0o755);
    if (ordinaryUser) chownSync(this.directory, ordinaryUser.uid, ordinaryUser.gid);
    writeFileSync(
      this.#config,
      `${more}
       [listen]
       socket = "${this.apiSocket}"
       blob_socket = "${this.blobSocket}"
       [store]
       directory = "${this.directory}/store"\n`,
    );
  }

  /** `more` is added to the configuration, in front; it may have `openFiles` files open (RLIMIT_NOFILE). */
  static async start(more = '', openFiles?: number): Promise<InstalledDaemon> {
    const daemon = new InstalledDaemon(more, openFiles);
    await daemon.restart();
    return daemon;
  }

  async restart(): Promise<void> {
    const limit = this.openFiles === undefined ? [] : ['prlimit', `--nofile=${this.openFiles}`];
    const command = [...limit, installed('stowaged'), '--config', this.#config];
    const child = spawn('env', command, {
      ...ordinaryUser,
      cwd: this.directory,
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    this.#log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
    const isUp = (): boolean => this.events().some(({ event }) => event === 'started');
    await waitFor(() => child.exitCode !== null || isUp(), {
      failure: 'stowaged did not start',
      timeoutMs: 20_000,
    });
    if (child.exitCode !== null) throw new Error(`stowaged ended:\n${this.#log}`);
  }

  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  get isRunning(): boolean {
    return this.#process?.exitCode === null && this.#process.signalCode === null;
  }

  /** The lines of its log that are complete. */
  events(): Record<string, unknown>[] {
    return this.#log
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** All that it printed. */
  printed(): string {
    return this.#log;
  }

  /** The most memory it ever had. */
  peakResidentBytes(): number {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1];
    return Number(kilobytes) * 1024;
  }

  openDescriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    if (!child || !this.isRunning) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  async end(): Promise<void> {
    await this.stop('SIGKILL');
    rmSync(this.directory, { recursive: true });
  }
}
