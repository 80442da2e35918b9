/** Gives stowage-unpack root file systems in files, in the sandbox of sandbox.ts. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {
  binary,
  digestOf,
  ordinaryUser,
  outcomeOf,
  type Limits,
  type Outcome,
  type Sandbox,
  type TreeEntry,
} from './sandbox.js';

export interface FileOptions extends Limits {
  digest?: string;
  size?: number;
  more?: readonly string[];
}

export function fileArguments(blob: Buffer, options: FileOptions = {}): string[] {
  const size = options.size ?? blob.length;
  return [
    ...['--root-fd', '4', '--progress-fd', '3', '--file', `5:${size}:${options.digest ?? digestOf(blob)}`],
    ...['--max-bytes', String(options.maxBytes ?? 1e9), '--max-inodes', String(options.maxInodes ?? 1e5)],
    ...(options.more ?? []),
  ];
}

/** Starts the unpacker on a file; the descriptors are 3 progress, 4 root, 5 the file, which it closes. */
export function startWithFile(sandbox: Sandbox, file: number, options: readonly string[]): ChildProcess {
  const root = fs.openSync(sandbox.tree, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  const child = spawn(binary, options, {
    ...ordinaryUser,
    env: {},
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', root, file],
  });
  for (const fd of [root, file]) fs.closeSync(fd);
  return child;
}

/** Unpacks a file into an empty tree. */
export async function unpackFile(
  sandbox: Sandbox,
  blob: Buffer,
  options: FileOptions = {},
): Promise<Outcome> {
  sandbox.renew();
  return outcomeOf(startWithFile(sandbox, sandbox.openFile(blob), fileArguments(blob, options)));
}

/** Copies a directory into an empty tree. */
export async function copyDirectory(sandbox: Sandbox, source: string, limits: Limits = {}): Promise<Outcome> {
  sandbox.renew();
  const flags = fs.constants.O_RDONLY | fs.constants.O_DIRECTORY;
  const [root, directory] = [fs.openSync(sandbox.tree, flags), fs.openSync(source, flags)];
  const child = spawn(
    binary,
    [
      ...['--root-fd', '4', '--directory', '5', '--progress-fd', '3'],
      ...['--max-bytes', String(limits.maxBytes ?? 1e9), '--max-inodes', String(limits.maxInodes ?? 1e5)],
    ],
    { ...ordinaryUser, env: {}, stdio: ['ignore', 'ignore', 'pipe', 'pipe', root, directory] },
  );
  for (const fd of [root, directory]) fs.closeSync(fd);
  return outcomeOf(child);
}

/** Unpacks a file, expects success without a word, and describes the tree by path. */
export async function succeedWithFile(
  sandbox: Sandbox,
  blob: Buffer,
  options: FileOptions = {},
): Promise<Map<string, TreeEntry>> {
  const { status, stderr } = await unpackFile(sandbox, blob, options);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  return sandbox.list();
}

/** Unpacks a file, and expects to be told why not in one line matching `sentence`. */
export async function refuseFile(
  sandbox: Sandbox,
  blob: Buffer,
  sentence: RegExp,
  options: FileOptions = {},
): Promise<void> {
  const { status, stderr } = await unpackFile(sandbox, blob, options);
  assert.match(stderr, sentence);
  assert.match(stderr, /^[^\x00-\x1f\x7f]+\n$/, 'one line without control characters');
  assert.equal(status, 1);
}

/** A directory of many kinds of entries, outside of the tree; to be removed by the test. */
export function makeSource(sandbox: Sandbox, longest = 200): string {
  const source = path.join(sandbox.directory, 'source');
  fs.mkdirSync(path.join(source, 'bin'), { recursive: true });
  fs.mkdirSync(path.join(source, 'closed'), { mode: 0o500 });
  fs.writeFileSync(path.join(source, 'bin/tool'), 'x'.repeat(70_000), { mode: 0o755 });
  fs.writeFileSync(path.join(source, 'n'.repeat(longest)), 'long name');
  fs.linkSync(path.join(source, 'bin/tool'), path.join(source, 'bin/same'));
  fs.linkSync(path.join(source, 'bin/tool'), path.join(source, 'again'));
  fs.symlinkSync('bin/tool', path.join(source, 'link'));
  fs.symlinkSync('t'.repeat(longest), path.join(source, 'dangling'));
  fs.writeFileSync(path.join(source, 'empty'), '');
  fs.writeFileSync(path.join(source, 'TRAILER!!!'), 'not the end');
  for (const [name, time] of [
    ['empty', 1e9],
    ['bin', 1.1e9],
  ] as const)
    fs.utimesSync(path.join(source, name), time, time);
  fs.utimesSync(source, 1.2e9, 1.2e9);
  return source;
}

/** What is comparable of two trees: some formats keep no times below a second. */
export function comparable(tree: Map<string, TreeEntry>): unknown {
  return [...tree]
    .map(([key, value]): [string, TreeEntry] => [
      key,
      { ...value, mtimeMs: value.type === 'symlink' ? 0 : Math.floor(value.mtimeMs / 1000) },
    ])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The inodes of the three names of one file that makeSource() makes. */
export function assertLinksKept(sandbox: Sandbox): void {
  const inodes = ['bin/tool', 'bin/same', 'again'].map(
    (name) => fs.statSync(path.join(sandbox.tree, name)).ino,
  );
  assert.equal(new Set(inodes).size, 1);
}

/** Runs a tool that writes to its standard output. */
export function outputOf(command: string, arguments_: readonly string[], input?: Buffer): Buffer {
  return execFileSync(command, arguments_, {
    input,
    maxBuffer: 1 << 28,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
}
