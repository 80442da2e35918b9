/** Runs the real stowage-enter as an ordinary user, in a directory with a tree store of its own. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import type { Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { packageRoot } from '../../wrapper/package-root.js';
import { digestOf, ordinaryUser, outcomeOf, statusField } from '../unpack/sandbox.js';
import type { Close } from './fake-daemon.js';
import { reachable } from './reachable.js';

const binary = reachable(
  process.env['STOWAGE_ENTER'] ?? path.join(packageRoot, 'build/libexec/stowage-enter'),
);

export const uid = ordinaryUser?.uid ?? process.getuid?.() ?? -1;
export const gid = ordinaryUser?.gid ?? process.getgid?.() ?? -1;
/** What a user without an account is called in the container. */
export const userName = ordinaryUser ? `user${uid}` : os.userInfo().username;
export const image = 'registry.example/team/app:1';

export interface EnterOptions {
  socket?: string;
  trees?: string;
  chdir?: string;
  /** As the user gives it to --image; `image` unless given. */
  image?: string;
  /** Without --image at all. */
  withoutImage?: boolean;
  /** 7 unless given. */
  job?: number;
  /** Where --image was written, for relative paths. */
  submittedFrom?: string;
  /** Further variables of the job. */
  environment?: Record<string, string>;
  /** Further options: '--pull', 'always'. */
  options?: readonly string[];
  /** The process whose end ends the container; this one unless given. */
  lifeline?: number;
  /** Whether somebody listens on descriptor 3; true unless given. */
  answered?: boolean;
  /** What /dev/fuse is there; as it is on this machine unless given. */
  fuse?: Fuse;
  /** The connection of a call that was begun before, as by the plugin: on descriptor 4. */
  earlyCall?: Socket;
}

export type Fuse = 'for all' | 'for root' | 'missing';

export interface Outcome {
  status: number | null;
  stderr: string;
  reply: string;
  tookMs: number;
}

/** A container that stands; the ranks would join `holder` now. */
export interface Container {
  holder: number;
  /** What a rank has to do, in letters; see spank-plugin/enter/reply.c. */
  entry: string;
  /** The process that saves the container, or 0. */
  saver: number;
  lock: string;
  directory: string;
  environment: string[];
  /** What the ranks would see as /. */
  root: string;
  /** By mount point, as seen inside: file system type and options. */
  mounts: Map<string, { type: string; options: string[]; superOptions: string[] }>;
}

export class EnterSandbox {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stowage-enter-'));
  readonly socket = path.join(this.directory, 'api.sock');
  readonly blobSocket = path.join(this.directory, 'blobs.sock');
  /** Of the account, or where there is none, of the environment. */
  readonly home = ordinaryUser ? path.join(this.directory, 'home') : os.userInfo().homedir;
  readonly trees = path.join(this.directory, 'trees');
  readonly store = path.join(this.trees, String(uid));
  #binary = binary;
  readonly #open: Close[] = [];
  readonly #holders: number[] = [];
  readonly #running = new Set<ChildProcess>();

  constructor() {
    fs.chmodSync(this.directory, 0o755);
    for (const directory of [this.trees, this.store]) fs.mkdirSync(directory);
    this.giveToUser(this.store);
  }

  /** Closes the server with the sandbox. */
  async serve(server: Promise<Close>): Promise<void> {
    this.#open.push(await server);
  }

  /** Makes a complete tree in the store and returns its digest. */
  makeTree(build: (root: string) => void = () => undefined): string {
    const digest = digestOf(Buffer.from(this.directory));
    const root = path.join(this.store, digest.replace(':', '-'));
    fs.mkdirSync(root);
    build(root);
    this.giveToUser(root);
    return digest;
  }

  giveToUser(name: string): void {
    if (ordinaryUser) assert.equal(spawnSync('chown', ['-Rh', `${uid}:${gid}`, name]).status, 0);
  }

  /** What is in the store apart from locks, which stay until the next sweep. */
  kept(): string[] {
    return fs.readdirSync(this.store).filter((name) => !name.endsWith('.lock'));
  }

  async enter(options: EnterOptions = {}): Promise<Outcome> {
    const began = performance.now();
    const args = [
      ...[
        '--socket',
        options.socket ?? this.socket,
        ...(options.withoutImage === true ? [] : ['--image', options.image ?? image]),
        '--job',
        String(options.job ?? 7),
        '--step',
        '0',
      ],
      ...['--lifeline', String(options.lifeline ?? process.pid)],
      ...(options.trees === undefined ? [] : ['--trees', options.trees]),
      ...(options.chdir === undefined ? [] : ['--chdir', options.chdir]),
      ...(options.earlyCall === undefined ? [] : ['--early-call', '4']),
      ...(options.options ?? []),
    ];
    const environment = {
      ...options.environment,
      ...(options.submittedFrom === undefined ? {} : { SLURM_STOWAGE_DIRECTORY: options.submittedFrom }),
    };
    const child = this.#start(args, options.answered ?? true, environment, options.fuse, options.earlyCall);
    const { status, stderr, progress } = await outcomeOf(child);
    const outcome = { status, stderr, reply: progress, tookMs: performance.now() - began };
    const holder = /^H(\d+)\0/.exec(outcome.reply)?.[1];
    if (holder !== undefined) this.#holders.push(Number(holder));
    return outcome;
  }

  /** Expects failure with exactly one sentence, soon, and nothing left in the store but what was there. */
  async fail(sentence: string | RegExp, options: EnterOptions = {}): Promise<Outcome> {
    const before = this.kept();
    const outcome = await this.enter(options);
    const said = /^E([^\0]*)\0$/.exec(outcome.reply)?.[1];
    assert.ok(said !== undefined, `not one sentence: ${JSON.stringify(outcome)}`);
    if (typeof sentence === 'string') assert.equal(said, sentence);
    else assert.match(said, sentence);
    assert.doesNotMatch(said, /[\x00-\x1f\x7f-\x9f]/);
    assert.equal(outcome.status, 1);
    assert.equal(outcome.stderr, '');
    assert.ok(outcome.tookMs < 5000, `took ${outcome.tookMs} ms`);
    assert.deepEqual(this.kept(), before);
    return outcome;
  }

  /** Expects a container. */
  async succeed(options: EnterOptions = {}): Promise<Container> {
    const outcome = await this.enter(options);
    const match = /^H(\d+)\0J([a-z]*)\0(?:S(\d+)\0)?L([^\0]*)\0W([^\0]*)\0((?:[-=][^\0]*\0)*)$/.exec(
      outcome.reply,
    );
    assert.ok(match, `no container: ${JSON.stringify(outcome)}`);
    assert.equal(outcome.status, 0);
    const holder = Number(match[1]);
    return {
      holder,
      entry: match[2] ?? '',
      saver: Number(match[3] ?? 0),
      lock: match[4] ?? '',
      directory: match[5] ?? '',
      environment: (match[6] ?? '').split('\0').slice(0, -1),
      root: `/proc/${holder}/root`,
      mounts: mountsOf(holder),
    };
  }

  /** What the job's epilog does, for a job of that id. */
  async sweep(job?: number): Promise<{ status: number | null; stderr: string }> {
    const which = job === undefined ? [] : ['--job', String(job)];
    const { status, stderr } = await outcomeOf(this.#start(['--sweep', ...which], false));
    return { status, stderr };
  }

  /**
   * Runs it with these options and nothing else; `stdout` is where its standard output goes, `answer` its
   * descriptor 3, if it is to have one.
   */
  async runAlone(
    args: readonly string[],
    environment: Record<string, string> = {},
    stdout: 'pipe' | number = 'pipe',
    answer?: number,
  ): Promise<{ status: number | null; stdout: string; stderr: string }> {
    const child = spawn(this.#binary, args, {
      ...ordinaryUser,
      cwd: this.directory,
      env: { HOME: this.home, SLURMD_NODENAME: 'node1', ...environment },
      stdio: ['ignore', stdout, 'pipe', ...(answer === undefined ? [] : [answer])],
    });
    this.#running.add(child);
    const said = { stdout: '', stderr: '' };
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (said.stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (said.stderr += text));
    const [status] = (await once(child, 'close')) as [number | null];
    this.#running.delete(child);
    return { status, ...said };
  }

  /** As the end of the leader does. */
  kill(): void {
    for (const child of this.#running) child.kill('SIGKILL');
  }

  async remove(): Promise<void> {
    this.kill();
    for (const holder of this.#holders) if (isRunning(holder)) process.kill(holder, 'SIGKILL');
    await Promise.all(this.#holders.map(endOf));
    await Promise.all(this.#open.map((close) => close()));
    assert.equal(spawnSync('rm', ['-rf', this.directory]).status, 0);
  }

  /**
   * Puts a shell script in the place of stowage-unpack. It finds what it was asked to do in "$@", the sandbox in
   * $sandbox, the tree to fill in $root, and logs its arguments; see unpackerRuns().
   */
  replaceUnpacker(script: string): void {
    const directory = path.join(this.directory, 'libexec');
    const log = path.join(this.directory, 'unpacker.log');
    fs.mkdirSync(directory, { recursive: true });
    for (const name of ['stowage-enter', 'stowage-squashfuse', 'stowage-report', 'stowage-save'])
      fs.copyFileSync(path.join(path.dirname(binary), name), path.join(directory, name));
    fs.writeFileSync(log, '');
    this.giveToUser(log);
    const program = path.join(directory, 'stowage-unpack');
    fs.writeFileSync(
      program,
      [
        '#!/bin/sh',
        `sandbox='${this.directory}'`,
        'echo "$@" >>"$sandbox/unpacker.log"',
        'if test "$1" = --root-fd; then root=/proc/self/fd/$2; fi',
        script,
        '',
      ].join('\n'),
    );
    fs.chmodSync(program, 0o755);
    this.#binary = path.join(directory, 'stowage-enter');
  }

  /** The command lines of all runs of the script so far. */
  unpackerRuns(): string[] {
    return fs.readFileSync(path.join(this.directory, 'unpacker.log'), 'utf8').split('\n').slice(0, -1);
  }

  #start(
    args: readonly string[],
    answered: boolean,
    environment: Record<string, string> = {},
    fuse?: Fuse,
    earlyCall?: Socket,
  ): ChildProcess {
    const own = [this.#binary, '--trees', this.trees, ...args];
    const [program = '', ...all] = fuse === undefined || !ordinaryUser ? own : withFuse(fuse, own);
    const child = spawn(program, all, {
      ...(fuse === undefined ? ordinaryUser : {}),
      cwd: this.directory,
      env: { HOME: this.home, SLURMD_NODENAME: 'node1', ...environment },
      stdio: ['ignore', 'ignore', 'pipe', answered ? 'pipe' : 'ignore', earlyCall ?? 'ignore'],
    });
    this.#running.add(child);
    child.once('close', () => this.#running.delete(child));
    return child;
  }
}

const fuseNodes: Record<Fuse, string> = {
  'for all': 'mknod -m 666 "$0" c 10 229',
  'for root': 'mknod -m 600 "$0" c 10 229',
  // Nothing of the kernel has that number.
  missing: 'mknod -m 666 "$0" c 10 254',
};

/** The command as the ordinary user, in a mount namespace in which /dev/fuse is of the kind that is wanted. */
function withFuse(fuse: Fuse, argv: readonly string[]): string[] {
  const script = `mount -t tmpfs stowage-test /mnt && ${fuseNodes[fuse]} && mount --bind "$0" /dev/fuse && exec "$@"`;
  return [
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, '/mnt/fuse'],
    ...['setpriv', '--reuid', String(uid), '--regid', String(gid), '--clear-groups', ...argv],
  ];
}

/** Whether this process may make a /dev/fuse, or the one of this machine is for everybody. */
export const canUseFuse = (): boolean => {
  if (ordinaryUser) return true;
  try {
    fs.accessSync('/dev/fuse', fs.constants.R_OK | fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

/** Waits until the process has ended, whether or not its parent has asked for its status. */
export async function endOf(pid: number): Promise<void> {
  while (isRunning(pid)) await sleep(5);
}

export function isRunning(pid: number): boolean {
  const state = statusField(pid, 'State');
  return state !== undefined && !state.startsWith('Z');
}

/** proc_pid_mountinfo(5). */
function mountsOf(pid: number): Container['mounts'] {
  const lines = fs.readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trimEnd().split('\n');
  return new Map(
    lines.map((line) => {
      const [own = '', below = ''] = line.split(' - ');
      const [, , , , mountPoint = '', options = ''] = own.split(' ');
      const [type = '', , superOptions = ''] = below.split(' ');
      return [mountPoint, { type, options: options.split(','), superOptions: superOptions.split(',') }];
    }),
  );
}

/** Gives each test of the present suite a sandbox of its own. */
export function eachInEnterSandbox(): () => EnterSandbox {
  let sandbox: EnterSandbox | undefined;
  beforeEach(() => {
    sandbox = new EnterSandbox();
  });
  afterEach(() => sandbox?.remove());
  return () => {
    assert.ok(sandbox);
    return sandbox;
  };
}
