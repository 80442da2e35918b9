import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { archive, file, header } from '../support/tar-writer.js';
import {
  binary,
  childrenOf,
  eachInSandbox,
  isRoot,
  isSanitized,
  isUnconfined,
  ordinaryUser,
  outcomeOf,
  statusField,
  unpackArguments,
} from './sandbox.js';

describe('stowage-unpack: confinement', () => {
  const sandbox = eachInSandbox();
  before(function () {
    if (isUnconfined) this.skip();
  });

  // Enough work that it is met in the middle of it.
  const long = Buffer.concat([
    header({ name: 'first' }),
    ...Array<Buffer>(300_000).fill(header({ name: 'again' })),
  ]);

  async function until<T>(what: string, look: () => T | undefined): Promise<T> {
    for (let waitedMs = 0; waitedMs < 10_000; waitedMs += 2) {
      const found = look();
      if (found !== undefined) return found;
      await sleep(2);
    }
    throw new Error(`not within 10 s: ${what}`);
  }

  /** Starts a long unpacking and stops its confined process once it has begun to write. */
  async function startAndFreeze(): Promise<{ parent: ChildProcess; pid: number }> {
    const parent = sandbox().start([{ blob: long }]);
    const pid = await until('the confined process', () => childrenOf(parent)[0]);
    await until('the first file', () =>
      fs.existsSync(path.join(sandbox().tree, 'first')) ? true : undefined,
    );
    process.kill(pid, 'SIGSTOP');
    await until('the process to stop', () => (statusField(pid, 'State')?.startsWith('T') ? true : undefined));
    return { parent, pid };
  }

  // A zombie is dead enough: who reaps orphans, and how soon, is up to the machine.
  const isGone = (pid: number) => (): true | undefined =>
    (statusField(pid, 'State') ?? 'Z').startsWith('Z') ? true : undefined;

  it('has no capabilities, no new privileges and a system call filter', async () => {
    const { parent, pid } = await startAndFreeze();
    const found = ['CapEff', 'CapPrm', 'CapInh', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp'].map((field) =>
      statusField(pid, field),
    );
    parent.kill('SIGKILL');
    assert.deepEqual(found, [...Array<string>(5).fill('0'.repeat(16)), '1', isSanitized ? '0' : '2']);
  });

  it('sees nothing but the tree, and holds no descriptors but its own', async function () {
    if (!isRoot) this.skip(); // only root may look into a process that is not dumpable
    const { parent, pid } = await startAndFreeze();
    const entries = fs.readdirSync(`/proc/${pid}/root`);
    const mounts = fs.readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n');
    const namespaces = ['user', 'mnt', 'net', 'ipc', 'uts'].filter(
      (name) => fs.readlinkSync(`/proc/${pid}/ns/${name}`) === fs.readlinkSync(`/proc/self/ns/${name}`),
    );
    const descriptors = fs
      .readdirSync(`/proc/${pid}/fd`)
      .map((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`));
    parent.kill('SIGKILL');
    // One may be met between the removal of a file and its successor.
    assert.deepEqual(
      entries.filter((name) => name !== 'again'),
      ['first'],
    );
    assert.equal(mounts.length, 1, mounts.join('\n'));
    assert.deepEqual(namespaces, [], 'namespaces shared with the host');
    const outside = descriptors.filter(
      (target) =>
        !/^(\/dev\/null|(pipe|socket):.*|\/|\/(first|again)( \(deleted\))?)$/.test(target) &&
        !target.includes('/blob'),
    );
    assert.deepEqual(outside, []);
  });

  it('hands no descriptor of the caller on that it does not need', async () => {
    const extra = fs.openSync(sandbox().canary, 'r');
    try {
      const { parent, pid } = await startAndFreeze();
      if (isRoot) {
        const targets = fs
          .readdirSync(`/proc/${pid}/fd`)
          .map((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`));
        assert.ok(targets.every((target) => !target.includes('canary')));
      }
      parent.kill('SIGKILL');
    } finally {
      fs.closeSync(extra);
    }
  });

  it('dies with its parent', async () => {
    const { parent, pid } = await startAndFreeze();
    parent.kill('SIGKILL');
    await until('its death', isGone(pid));
  });

  it('ends at once on SIGTERM', async () => {
    const parent = sandbox().start([{ blob: long }]);
    const pid = await until('the confined process', () => childrenOf(parent)[0]);
    const started = Date.now();
    parent.kill('SIGTERM');
    await until('its death', isGone(pid));
    assert.ok(Date.now() - started < 1000);
  });

  it('says that memory was short when it is killed', async () => {
    const { parent, pid } = await startAndFreeze();
    const ended = outcomeOf(parent);
    process.kill(pid, 'SIGKILL');
    const outcome = await ended;
    assert.equal(outcome.status, 3);
    assert.match(outcome.stderr, /^[^\n]*more memory[^\n]*--mem[^\n]*\n$/);
  });

  it('refuses the image in words when it crashes', async function () {
    if (isSanitized) this.skip(); // the sanitizer reports the signal itself
    const { parent, pid } = await startAndFreeze();
    const ended = outcomeOf(parent);
    process.kill(pid, 'SIGSEGV');
    process.kill(pid, 'SIGCONT');
    const outcome = await ended;
    assert.equal(outcome.status, 1);
    assert.match(outcome.stderr, /signal 11/);
  });

  it('goes on without a reader of its progress', async () => {
    const child = sandbox().start([{ blob: archive(file('a', '1')) }]);
    (child.stdio[3] as unknown as { destroy(): void }).destroy();
    assert.equal((await outcomeOf(child)).status, 0);
  });

  /** Runs the unpacker on a tmpfs of its own, mounted in a namespace that ends with it. */
  function onTmpfs(options: string, blob: Buffer, before = ''): ChildProcess {
    const name = path.join(sandbox().directory, 'blob');
    fs.writeFileSync(name, blob);
    const script = `mount -t tmpfs -o ${options} none "$1" && ${before} tree=$1 blob=$2 && shift 2 &&
      exec "$@" 4<"$tree" 5<"$blob"`;
    const unpack = [binary, ...unpackArguments([{ blob }], {})];
    const child = spawn(
      'unshare',
      ['--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', sandbox().tree, name, ...unpack],
      { ...ordinaryUser, stdio: ['ignore', 'ignore', 'pipe', 'pipe'] },
    );
    child.once('close', () => fs.unlinkSync(name));
    return child;
  }

  it('says how much is missing when the tree store is full', async () => {
    const outcome = await outcomeOf(
      onTmpfs('size=1m,mode=700', archive(file('large', Buffer.alloc(5_000_000)))),
    );
    assert.equal(outcome.status, 3);
    assert.match(
      outcome.stderr,
      /^the tree store on this node is full \(needed at least 4 MB more\)[^\n]*\n$/,
    );
  });

  it('says that files are too many when the tree store has no inodes left', async () => {
    const files = Array.from({ length: 50 }, (_, i) => file(`f${i}`, ''));
    const outcome = await outcomeOf(onTmpfs('size=1m,nr_inodes=20,mode=700', archive(...files)));
    assert.equal(outcome.status, 3);
    assert.match(outcome.stderr, /^the tree store on this node [^\n]*files[^\n]*\n$/);
  });

  it('says that the administrator must allow namespaces where they are forbidden', async () => {
    const forbid = 'echo 0 >/proc/sys/user/max_user_namespaces &&';
    const outcome = await outcomeOf(onTmpfs('size=1m,mode=700', archive(file('a', '')), forbid));
    assert.equal(outcome.status, 3);
    assert.match(outcome.stderr, /^[^\n]*namespaces[^\n]*administrator[^\n]*\n$/);
  });
});
