/** Runs the installed stowage as an ordinary user, in a directory and with a home of its own. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { ordinaryUser } from '../unpack/sandbox.js';
import { installed } from '../support/installed.js';
import { reachable } from '../support/reachable.js';

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

const otherUnpacker = process.env['STOWAGE_UNPACK'];
const unpacker = otherUnpacker === undefined ? undefined : reachable(otherUnpacker);

export class CliSandbox {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stowage-cli-'));
  /** Where the user's own downloads go. */
  readonly cache = path.join(this.directory, '.cache/stowage');
  readonly #running = new Set<ChildProcess>();

  constructor() {
    this.giveToUser();
  }

  path(name: string): string {
    return path.join(this.directory, name);
  }

  /** Names below the directory but those that begin with a dot and no partial trees. */
  names(): string[] {
    return fs
      .readdirSync(this.directory)
      .filter((name) => !name.startsWith('.') || name.includes('partial'))
      .sort();
  }

  read(name: string): string {
    return fs.readFileSync(this.path(name), 'utf8');
  }

  write(name: string, content: string | Buffer): string {
    fs.writeFileSync(this.path(name), content);
    return this.path(name);
  }

  giveToUser(): void {
    if (!ordinaryUser) return;
    execFileSync('chown', ['-Rh', `${ordinaryUser.uid}:${ordinaryUser.gid}`, this.directory]);
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    const child = spawn(installed('stowage'), [...args], {
      ...ordinaryUser,
      cwd: this.directory,
      env: {
        HOME: this.directory,
        PATH: process.env['PATH'],
        ...(unpacker === undefined ? {} : { STOWAGE_UNPACK: unpacker }),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    child.once('close', () => this.#running.delete(child));
    return child;
  }

  async run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    return outcomeOf(this.start(args, env));
  }

  /** What a terminal shows of it. */
  onTerminal(args: string): string {
    return execFileSync('script', ['-qec', `${installed('stowage')} ${args}`, '/dev/null'], {
      ...ordinaryUser,
      cwd: this.directory,
      env: { HOME: this.directory, PATH: process.env['PATH'], SHELL: '/bin/sh' },
      encoding: 'utf8',
    });
  }

  /** Runs, expects success, and returns what it printed. */
  async succeed(...args: string[]): Promise<{ stdout: string; stderr: string }> {
    const { status, stdout, stderr } = await this.run(args);
    assert.equal(status, 0, stderr);
    return { stdout, stderr };
  }

  /** Runs, expects one sentence and no change of the directory. */
  async refuse(sentence: RegExp, status: number, ...args: string[]): Promise<void> {
    const before = this.names();
    const outcome = await this.run(args);
    assert.match(
      outcome.stderr,
      /^stowage: [^\x00-\x1f\x7f-\x9f]+\n$/,
      'one line without control characters',
    );
    assert.match(outcome.stderr, sentence);
    assert.deepEqual([outcome.status, outcome.stdout], [status, '']);
    assert.deepEqual(this.names(), before);
  }

  async inspect(...args: string[]): Promise<Record<string, unknown>> {
    const { stdout } = await this.succeed('inspect', '--json', ...args);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  remove(): void {
    for (const child of this.#running) child.kill('SIGKILL');
    if (!ordinaryUser) spawnSync('chmod', ['-R', 'u+rwX', this.directory]);
    assert.equal(spawnSync('rm', ['-rf', this.directory]).status, 0);
  }
}

export async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const texts = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (texts.stdout += chunk));
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (texts.stderr += chunk));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  return { status, ...texts };
}

export function descendantsOf(pid: number | undefined): number[] {
  const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children
    .split(' ')
    .filter(Boolean)
    .flatMap((child) => [Number(child), ...descendantsOf(Number(child))]);
}

/** Gives each test of the present suite a sandbox of its own. */
export function eachInCliSandbox(): () => CliSandbox {
  let sandbox: CliSandbox | undefined;
  before(function () {
    // The first one installs.
    this.timeout(60_000);
    installed('stowage');
  });
  beforeEach(() => {
    sandbox = new CliSandbox();
  });
  afterEach(() => sandbox?.remove());
  return () => {
    assert.ok(sandbox);
    return sandbox;
  };
}

/** A tar archive, as GNU tar makes it, with these files below directories as needed. */
export function tarOf(files: Readonly<Record<string, string | Buffer>>): Buffer {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stowage-tar-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      const full = path.join(directory, name);
      fs.mkdirSync(path.dirname(full), { recursive: true });
      fs.writeFileSync(full, content);
    }
    return execFileSync('tar', ['-C', directory, '-c', '.'], { maxBuffer: 1 << 30 });
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}
