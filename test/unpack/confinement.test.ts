import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { makeSquashfs } from '../support/squashfs-image.js';
import { archive, file, header, pax } from '../support/tar-writer.js';
import { fileArguments } from './root-file.js';
import {
  binary,
  childrenOf,
  digestOf,
  eachInSandbox,
  isRoot,
  isSanitized,
  isUnconfined,
  ordinaryUser,
  outcomeOf,
  statusField,
  until,
  unpackArguments,
  type Layer,
  type Limits,
  type Outcome,
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

  /**
   * Runs the unpacker on a tmpfs of its own, mounted in a namespace that ends with it, with the tree as
   * descriptor 4 and `source`, a file or directory, as 5. `before` is a shell command that knows the tree as $1
   * and the source as $2.
   */
  function startOnTmpfs(
    options: string,
    source: string,
    before: string,
    args: readonly string[],
  ): ChildProcess {
    const script = `mount -t tmpfs -o ${options} none "$1" && { ${before} } && tree=$1 source=$2 && shift 2 &&
      exec "$@" 4<"$tree" 5<"$source"`;
    return spawn(
      'unshare',
      [
        ...['--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', sandbox().tree, source],
        ...[binary, ...args],
      ],
      { ...ordinaryUser, stdio: ['ignore', 'ignore', 'pipe', 'pipe'] },
    );
  }

  /** The same with a layer, whose file `before` may write. */
  function onTmpfs(options: string, layer: Layer, before = ':;', limits: Limits = {}): ChildProcess {
    const name = path.join(sandbox().directory, 'blob');
    fs.writeFileSync(name, layer.blob);
    fs.chmodSync(name, 0o666);
    const child = startOnTmpfs(options, name, before, unpackArguments([layer], limits));
    child.once('close', () => fs.unlinkSync(name));
    return child;
  }

  it('says before it writes a file that the tree store has no room for it', async () => {
    const blob = archive(file('small', 'x'), file('large', Buffer.alloc(5_000_000)));
    const outcome = await outcomeOf(onTmpfs('size=2m,mode=700', { blob }));
    assert.equal(outcome.status, 3);
    assert.match(
      outcome.stderr,
      /^with the entry 'large' the image needs more than the 2 MB that were free in the tree store[^\n]*\n$/,
    );
  });

  it('counts whole pages, not bytes, against the room in the tree store', async () => {
    const files = Array.from({ length: 300 }, (_, i) => file(`f${i}`, 'x'));
    const outcome = await outcomeOf(onTmpfs('size=1m,mode=700', { blob: archive(...files) }));
    assert.equal(outcome.status, 3);
    assert.match(outcome.stderr, /^with the entry 'f256' the image needs more than the 1 MB/);
  });

  it('fills a tmpfs without limits', async () => {
    const blob = archive(file('large', Buffer.alloc(5_000_000)));
    assert.equal((await outcomeOf(onTmpfs('size=0,nr_inodes=0,mode=700', { blob }))).status, 0);
  });

  it('lets a file with holes be larger than the tree store', async () => {
    const sparse = pax(
      ['GNU.sparse.size', '50000000'],
      ['GNU.sparse.numblocks', '1'],
      ['GNU.sparse.map', '0,1000'],
      ['GNU.sparse.name', 'holes'],
    );
    const blob = archive(sparse, file('ignored', Buffer.alloc(1000, 'x')));
    const outcome = await outcomeOf(onTmpfs('size=1m,mode=700', { blob }));
    assert.deepEqual({ status: outcome.status, stderr: outcome.stderr }, { status: 0, stderr: '' });
  });

  for (const kind of ['squashfs', 'directory'] as const) {
    it(`lets a file with holes in a ${kind} be larger than the tree store, but not what it holds`, async () => {
      const source = path.join(sandbox().directory, 'source');
      const image = path.join(sandbox().directory, 'image');
      fs.mkdirSync(source);
      const run = async (): Promise<Outcome> => {
        const unpacked = kind === 'directory' ? source : image;
        let args = ['--directory', '5', '--root-fd', '4', '--max-bytes', '1000000000', '--max-inodes', '10'];
        if (kind === 'squashfs') {
          const bytes = makeSquashfs(source, image);
          fs.writeFileSync(image, bytes);
          args = fileArguments(bytes);
        }
        return outcomeOf(startOnTmpfs('size=1m,mode=700', unpacked, ':;', args));
      };
      const fd = fs.openSync(path.join(source, 'holes'), 'w');
      for (let i = 0; i < 5; i++) fs.writeSync(fd, `piece ${i}`, i * 9_000_000);
      fs.ftruncateSync(fd, 50_000_000);
      const { status, stderr } = await run();
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      fs.writeSync(fd, Buffer.alloc(2_000_000, 'x'), 0, 2_000_000, 20_000_000);
      fs.closeSync(fd);
      const refused = await run();
      fs.rmSync(source, { recursive: true });
      fs.rmSync(image, { force: true });
      assert.equal(refused.status, 3);
      assert.match(refused.stderr, /^with the entry 'holes' the image needs more than the 1 MB/);
    });
  }

  it('says how much is missing when others fill the tree store meanwhile', async () => {
    const tar = archive(file('first', Buffer.alloc(1_500_000)), file('large', Buffer.alloc(3_000_000)));
    const [begun, rest] = [tar.subarray(0, 2_200_000), tar.length - 2_200_000];
    const fill = `{ until [ -e "$1/large" ]; do sleep 0.01; done
      dd if=/dev/zero of="$1/filler" bs=64k; head -c ${rest} /dev/zero >>"$2"; } 2>/dev/null &`;
    const layer = { blob: begun, tar, size: tar.length, digest: digestOf(tar) };
    const outcome = await outcomeOf(onTmpfs('size=6m,mode=700', layer, fill, { growing: true }));
    assert.equal(outcome.status, 3);
    assert.match(
      outcome.stderr,
      /^the tree store on this node is full \(needed at least \d MB more\)[^\n]*\n$/,
    );
  });

  it('ends when the tree store is full though a layer would still grow', async () => {
    const tar = archive(file('large', Buffer.alloc(5_000_000)));
    const layer = { blob: tar.subarray(0, 1_200_000), tar, size: tar.length };
    const outcome = await outcomeOf(onTmpfs('size=1m,mode=700', layer, ':;', { growing: true }));
    assert.equal(outcome.status, 3);
    assert.match(outcome.stderr, /'large'/);
  });

  it('says that files are too many when the tree store has no inodes left', async () => {
    const files = Array.from({ length: 50 }, (_, i) => file(`f${i}`, ''));
    const outcome = await outcomeOf(onTmpfs('size=1m,nr_inodes=20,mode=700', { blob: archive(...files) }));
    assert.equal(outcome.status, 3);
    assert.match(
      outcome.stderr,
      /^with the entry 'f\d+' the image needs all of the \d+ files that the tree store[^\n]*\n$/,
    );
  });

  it('says that the administrator must allow namespaces where they are forbidden', async () => {
    const forbid = 'echo 0 >/proc/sys/user/max_user_namespaces;';
    const outcome = await outcomeOf(onTmpfs('size=1m,mode=700', { blob: archive(file('a', '')) }, forbid));
    assert.equal(outcome.status, 3);
    assert.match(outcome.stderr, /^[^\n]*namespaces[^\n]*administrator[^\n]*\n$/);
  });
});
