/** Runs the real stowage-unpack as an ordinary user, in a directory with a canary beside the tree. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { reachable } from '../support/reachable.js';

const repository = fileURLToPath(new URL('../../../../', import.meta.url));
export const binary = reachable(
  process.env['STOWAGE_UNPACK'] ?? path.join(repository, 'build/libexec/stowage-unpack'),
);
/** The core without the confinement; see the Makefile. */
export const isUnconfined = binary.endsWith('.core');
export const isSanitized = isUnconfined || binary.endsWith('.asan');
export const isRoot = process.getuid?.() === 0;
/** A uid that needs no account. */
export const ordinaryUser = isRoot ? { uid: 65432, gid: 65432 } : undefined;

export interface Layer {
  blob: Buffer;
  /** The uncompressed stream; `blob` itself unless given. */
  tar?: Buffer;
  /** What the descriptor leads to; a file with `blob` unless given. */
  fd?: number;
  /** Of the blob in that file, where it is a member of it. */
  offset?: number;
  size?: number;
  /** `-` for nobody knows. */
  digest?: string;
  diffId?: string;
}

export interface Limits {
  maxBytes?: number;
  maxInodes?: number;
  maxDepth?: number;
  growing?: boolean;
}

export interface Outcome {
  status: number | null;
  stderr: string;
  progress: string;
}

export interface TreeEntry {
  type: 'file' | 'directory' | 'symlink';
  mode: number;
  mtimeMs: number;
  content?: string;
  target?: string;
}

export function digestOf(bytes: Buffer, algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

export class Sandbox {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stowage-unpack-'));
  readonly tree = path.join(this.directory, 'tree');
  readonly canary = path.join(this.directory, 'tree-canary');
  private readonly canaryBefore: string;

  constructor() {
    for (const directory of [this.tree, this.canary]) fs.mkdirSync(directory, 0o700);
    fs.writeFileSync(path.join(this.canary, 'song'), 'tweet');
    for (const owned of ['.', 'tree', 'tree-canary', 'tree-canary/song'])
      this.giveToUser(path.join(this.directory, owned));
    this.canaryBefore = this.describeCanary();
  }

  private giveToUser(name: string): void {
    if (ordinaryUser) fs.chownSync(name, ordinaryUser.uid, ordinaryUser.gid);
  }

  private describeCanary(): string {
    const describe = (name: string): string => {
      const { mode, uid, gid, nlink, mtimeMs } = fs.lstatSync(name);
      return JSON.stringify({ mode, uid, gid, nlink, mtimeMs });
    };
    const names = fs.readdirSync(this.canary).sort();
    const parts = names.map((name) => {
      const full = path.join(this.canary, name);
      return `${name} ${describe(full)} ${fs.readFileSync(full, 'utf8')}`;
    });
    return [fs.readdirSync(this.directory).sort().join(), describe(this.canary), ...parts].join('\n');
  }

  assertCanaryUnchanged(): void {
    assert.equal(this.describeCanary(), this.canaryBefore);
  }

  remove(): void {
    if (!isRoot) spawnSync('chmod', ['-R', 'u+rwX', this.directory]);
    // Not fs.rm: its paths must fit into PATH_MAX.
    assert.equal(spawnSync('rm', ['-rf', this.directory]).status, 0);
  }

  /** Removes the tree of an earlier run and makes an empty one in its place. */
  renew(): void {
    if (!isRoot) spawnSync('chmod', ['-R', 'u+rwX', this.tree]);
    assert.equal(spawnSync('rm', ['-rf', this.tree]).status, 0);
    fs.mkdirSync(this.tree, 0o700);
    this.giveToUser(this.tree);
  }

  /** Starts the unpacker; the descriptors are 3 progress, 4 root, from 5 on layers. */
  start(layers: readonly Layer[], limits: Limits = {}): ChildProcess {
    const root = fs.openSync(this.tree, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    const blobs = layers.map((layer) => layer.fd ?? this.openFile(layer.blob));
    const child = spawn(binary, unpackArguments(layers, limits), {
      ...ordinaryUser,
      env: {},
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', root, ...blobs],
    });
    const given = layers.map((layer) => layer.fd);
    for (const fd of [root, ...blobs]) if (!given.includes(fd)) fs.closeSync(fd);
    return child;
  }

  /** A file without a name, open for reading and writing. */
  openFile(content: Buffer): number {
    const name = path.join(this.directory, 'blob');
    fs.writeFileSync(name, content);
    const fd = fs.openSync(name, 'r+');
    fs.unlinkSync(name);
    return fd;
  }

  /** Unpacks into an empty tree. */
  async unpack(layers: readonly (Layer | Buffer)[], limits: Limits = {}): Promise<Outcome> {
    this.renew();
    const full = layers.map((layer) => (Buffer.isBuffer(layer) ? { blob: layer } : layer));
    return outcomeOf(this.start(full, limits));
  }

  /** Unpacks, expects success without a word, and describes the tree by path. */
  async succeed(layers: readonly (Layer | Buffer)[], limits: Limits = {}): Promise<Map<string, TreeEntry>> {
    const outcome = await this.unpack(layers, limits);
    assert.deepEqual({ status: outcome.status, stderr: outcome.stderr }, { status: 0, stderr: '' });
    return this.list();
  }

  /** Unpacks, and expects to be told why not in one line matching `sentence`. */
  async refuse(
    layers: readonly (Layer | Buffer)[],
    sentence: RegExp,
    limits: Limits = {},
    status = 1,
  ): Promise<void> {
    const outcome = await this.unpack(layers, limits);
    assert.match(outcome.stderr, sentence);
    assert.match(outcome.stderr, /^[^\x00-\x1f\x7f]+\n$/, 'one line without control characters');
    assert.equal(outcome.status, status);
  }

  list(root = this.tree): Map<string, TreeEntry> {
    const found = new Map<string, TreeEntry>();
    const visit = (relative: Buffer): void => {
      const full = Buffer.concat([Buffer.from(`${root}/`), relative]);
      const status = fs.lstatSync(full);
      const common = { mode: status.mode & 0o7777, mtimeMs: status.mtimeMs };
      const key = relative.toString('latin1');
      if (status.isSymbolicLink())
        found.set(key, { type: 'symlink', ...common, target: fs.readlinkSync(full) });
      else if (status.isFile()) found.set(key, { type: 'file', ...common, content: contentOf(full) });
      else found.set(key, { type: 'directory', ...common });
      if (!status.isDirectory()) return;
      for (const name of fs.readdirSync(full, { encoding: 'buffer' })) {
        visit(relative.length === 0 ? name : Buffer.concat([relative, Buffer.from('/'), name]));
      }
    };
    visit(Buffer.alloc(0));
    found.delete('');
    return found;
  }

  /** The names in the tree, sorted; directories end in a slash. */
  names(): string[] {
    return [...this.list()].map(([name, { type }]) => (type === 'directory' ? `${name}/` : name)).sort();
  }

  read(name: string): string {
    return fs.readFileSync(path.join(this.tree, name), 'utf8');
  }
}

function contentOf(name: Buffer): string {
  try {
    return digestOf(fs.readFileSync(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return 'unreadable';
    throw error;
  }
}

export function unpackArguments(layers: readonly Layer[], limits: Limits, rootFd = 4, firstFd = 5): string[] {
  const described = layers.map((layer, index) => {
    const size = layer.size ?? layer.blob.length;
    const digest = layer.digest ?? digestOf(layer.blob);
    const diffId = layer.diffId ?? digestOf(layer.tar ?? layer.blob);
    const file = `${firstFd + index}${layer.offset === undefined ? '' : `@${layer.offset}`}`;
    return ['--layer', `${file}:${size}:${digest}:${diffId}`];
  });
  return [
    ...['--root-fd', String(rootFd), '--progress-fd', '3'],
    ...['--max-bytes', String(limits.maxBytes ?? 1e9), '--max-inodes', String(limits.maxInodes ?? 1e5)],
    ...(limits.maxDepth === undefined ? [] : ['--max-depth', String(limits.maxDepth)]),
    ...(limits.growing ? ['--growing'] : []),
    ...described.flat(),
  ];
}

export async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const collect = (stream: NodeJS.ReadableStream): { text: string } => {
    const collected = { text: '' };
    stream.setEncoding('utf8').on('data', (chunk: string) => (collected.text += chunk));
    return collected;
  };
  assert.ok(child.stderr);
  const stderr = collect(child.stderr);
  const progressPipe = child.stdio[3] as NodeJS.ReadableStream | null | undefined;
  const progress = progressPipe ? collect(progressPipe) : { text: '' };
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  return { status, stderr: stderr.text, progress: progress.text };
}

/** Gives each test of the present suite a sandbox of its own, and looks after the canary. */
export function eachInSandbox(): () => Sandbox {
  let sandbox: Sandbox | undefined;
  beforeEach(function () {
    this.currentTest?.timeout(60_000);
    sandbox = new Sandbox();
  });
  afterEach(() => {
    try {
      sandbox?.assertCanaryUnchanged();
    } finally {
      sandbox?.remove();
    }
  });
  return () => {
    assert.ok(sandbox);
    return sandbox;
  };
}

/** The processes that `child` has started. */
export function childrenOf(child: ChildProcess): number[] {
  const listed = readIfThere(`/proc/${child.pid}/task/${child.pid}/children`) ?? '';
  return listed.split(' ').filter(Boolean).map(Number);
}

/** The most memory that the unpacker had at once until it ended, sampled, in KiB. */
export async function peakMemoryKib(child: ChildProcess): Promise<number> {
  let peakKib = 0;
  const sample = setInterval(() => {
    for (const pid of isUnconfined ? [child.pid ?? 0] : childrenOf(child))
      peakKib = Math.max(peakKib, parseInt(statusField(pid, 'VmHWM') ?? '0'));
  }, 5);
  const outcome = await outcomeOf(child);
  clearInterval(sample);
  assert.deepEqual({ status: outcome.status, stderr: outcome.stderr }, { status: 0, stderr: '' });
  assert.ok(peakKib > 0, 'the unpacker was seen running');
  return peakKib;
}

/** Waits for what `look` returns, once that is not undefined. */
export async function until<T>(what: string, look: () => T | undefined): Promise<T> {
  for (let waitedMs = 0; waitedMs < 10_000; waitedMs += 2) {
    const found = look();
    if (found !== undefined) return found;
    await sleep(2);
  }
  throw new Error(`not within 10 s: ${what}`);
}

/** A line of /proc/PID/status; undefined when the process or the field is gone. */
export function statusField(pid: number, field: string): string | undefined {
  const lines = (readIfThere(`/proc/${pid}/status`) ?? '').split('\n');
  return lines
    .find((line) => line.startsWith(`${field}:`))
    ?.slice(field.length + 1)
    .trim();
}

function readIfThere(name: string): string | undefined {
  try {
    return fs.readFileSync(name, 'utf8');
  } catch {
    return undefined;
  }
}
