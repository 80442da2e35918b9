import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import {
  canUseFuse,
  type Container,
  eachInEnterSandbox,
  endOf,
  type EnterOptions,
  type Fuse,
  gid,
  isRunning,
  uid,
} from '../support/enter-sandbox.js';
import { listenGrpc, welcome } from '../support/fake-daemon.js';
import { digestOf, statusField } from '../unpack/sandbox.js';

const compressors = ['gzip', 'lzo', 'lz4', 'xz', 'zstd'];
const manyFiles = 3000;

/** What is in the image besides the shell. */
const fill = (root: string): void => {
  for (const name of ['bin', 'etc', 'many', 'tmp']) fs.mkdirSync(`${root}/${name}`);
  fs.copyFileSync('/bin/busybox', `${root}/bin/busybox`);
  fs.chmodSync(`${root}/bin/busybox`, 0o4755);
  for (const name of ['sh', 'cat', 'chmod', 'mkdir', 'rm', 'touch'])
    fs.symlinkSync('busybox', `${root}/bin/${name}`);
  fs.chmodSync(`${root}/tmp`, 0o1777);
  fs.writeFileSync(`${root}/etc/motd`, 'welcome\n', { mode: 0o640 });
  fs.linkSync(`${root}/etc/motd`, `${root}/etc/issue`);
  fs.writeFileSync(`${root}/empty`, '');
  // Several blocks and the end of one; blocks that do not shrink; and one of zeros.
  fs.writeFileSync(`${root}/text`, 'all work and no play\n'.repeat(30_000));
  fs.writeFileSync(`${root}/noise`, execFileSync('head', ['-c', '700000', '/dev/urandom']));
  fs.writeFileSync(`${root}/sparse`, Buffer.concat([Buffer.alloc(600_000), Buffer.from('end')]));
  for (let i = 0; i < manyFiles; i++) fs.writeFileSync(`${root}/many/a-file-with-number-${i}`, `${i}`);
  execFileSync('mkfifo', [`${root}/pipe`]);
  execFileSync('setfattr', ['-n', 'user.color', '-v', 'red', `${root}/etc/motd`]);
  execFileSync('setfattr', ['-n', 'user.overlay.whiteout', '-v', 'y', `${root}/empty`]);
};

/** Every path below but `leftOut`, with all that can be told about it. */
const describeTree = (root: string, leftOut: readonly string[]): Record<string, unknown> => {
  const entries = fs.readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  const described = entries.filter((name) => !leftOut.includes(name));
  return Object.fromEntries(
    described.map((name) => {
      const file = path.join(root, name);
      const info = fs.lstatSync(file);
      const content = info.isFile()
        ? fs.readFileSync(file).toString('base64')
        : info.isSymbolicLink()
          ? fs.readlinkSync(file)
          : '';
      const { mode, nlink, mtimeMs } = info;
      // Only what the image says: a directory's size and count of links are the file system's.
      const links = info.isDirectory() ? {} : { nlink, size: info.size };
      return [
        name,
        { mode: (mode & ~0o6000).toString(8), seconds: Math.floor(mtimeMs / 1000), ...links, content },
      ];
    }),
  );
};

describe('stowage-enter, mounting a squashfs image', function () {
  this.timeout(60_000);
  const sandbox = eachInEnterSandbox();
  let content: string;

  before(function () {
    if (!canUseFuse()) this.skip();
    content = fs.mkdtempSync('/tmp/stowage-squashfs-');
    fill(content);
  });
  after(() => {
    if (content) fs.rmSync(content, { recursive: true });
  });

  const makeImage = (image: string, options: readonly string[] = []): void => {
    execFileSync('mksquashfs', [content, image, '-noappend', '-quiet', '-no-progress', ...options]);
  };
  /** An image in a file of the user, a daemon that says to mount it, and the tree that it will have. */
  const serve = async (write: (image: string) => void): Promise<string> => {
    const file = imageFile();
    write(file);
    const imageDigest = digestOf(fs.readFileSync(file));
    const identity = ['kind=squashfs', `digest=${imageDigest}`, `size=${fs.statSync(file).size}`];
    sandbox().replaceUnpacker(`case "$*" in
--identify*) printf '${identity.join('\\0')}\\0' ;;
*--keep-squashfs*) cat "$sandbox/image.sqsh" >"$root/image.squashfs" ;;
*) exit 2 ;;
esac`);
    await sandbox().serve(
      listenGrpc(sandbox().socket, (call) => {
        call.write(welcome);
        call.write({ plan: { imageDigest, workingDirectory: '/', mountSquashfs: true } });
        call.end();
      }),
    );
    return `${sandbox().store}/squashfs-${imageDigest.replace(':', '-')}`;
  };
  /** As an earlier step leaves it. */
  const keep = (tree: string): void => {
    for (const directory of [tree, `${tree}.mount`]) fs.mkdirSync(directory);
    fs.copyFileSync(imageFile(), `${tree}/image.squashfs`);
    sandbox().giveToUser(sandbox().store);
  };
  const imageFile = () => `${sandbox().directory}/image.sqsh`;
  const options = (fuse: Fuse): EnterOptions => ({ fuse, image: imageFile() });
  const enter = () => sandbox().succeed(options('for all'));

  /** Runs a shell in the container, as a rank does. */
  const run = (container: Container, script: string): string =>
    execFileSync('nsenter', rankArguments(container, script), { encoding: 'utf8' });
  const rankArguments = (container: Container, script: string): string[] => [
    ...['--target', String(container.holder), '--user', '--mount', '--setuid', String(uid)],
    ...['--setgid', String(gid), '--wd=/', '/bin/sh', '-c', script],
  ];
  const startRank = (container: Container, script: string): ChildProcess =>
    spawn('nsenter', rankArguments(container, script), { stdio: ['pipe', 'pipe', 'inherit'] });

  /** The server of the step, the only one whose image is in this sandbox's store. */
  const findServer = (): number => {
    const found = servers();
    assert.equal(found.length, 1);
    return found[0] ?? 0;
  };
  const servers = (): number[] =>
    fs
      .readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          return fs.readlinkSync(`/proc/${pid}/fd/3`).startsWith(sandbox().store);
        } catch {
          return false;
        }
      })
      .map(Number);
  const endHolder = async (container: Container): Promise<void> => {
    process.kill(container.holder, 'SIGKILL');
    await endOf(container.holder);
  };

  for (const compressor of compressors)
    it(`shows what is in an image that ${compressor} compressed`, async () => {
      await serve((image) => makeImage(image, ['-comp', compressor]));
      const { root } = await enter();
      // The last ones are what stowage-enter adds to.
      const leftOut = ['pipe', 'etc', 'etc/passwd', 'etc/group'];
      const [expected, shown] = [content, root].map((tree) => describeTree(tree, leftOut));
      assert.deepEqual(shown, expected);
    });

  for (const options of ['-b 4096', '-b 1M', '-no-fragments', '-noI -noD -noF'])
    it(`reads files of an image made with ${options}`, async () => {
      await serve((image) => makeImage(image, options.split(' ')));
      const { root } = await enter();
      for (const name of ['text', 'noise', 'sparse', `many/a-file-with-number-${manyFiles - 1}`])
        assert.ok(fs.readFileSync(`${root}/${name}`).equals(fs.readFileSync(`${content}/${name}`)), name);
    });

  it("makes everything the user's, drops setuid, and keeps attributes but those of overlayfs", async () => {
    await serve((image) => makeImage(image));
    const container = await enter();
    const busybox = fs.statSync(`${container.root}/bin/busybox`);
    assert.deepEqual([busybox.uid, busybox.gid, busybox.mode & 0o7777], [uid, gid, 0o755]);
    assert.equal(fs.statSync(`${container.root}/tmp`).mode & 0o7777, 0o1777);
    const attributes = execFileSync('getfattr', ['-d', '--absolute-names', `${container.root}/etc/motd`]);
    assert.match(attributes.toString(), /user\.color="red"/);
    // As a whiteout it would not be there.
    assert.equal(fs.readFileSync(`${container.root}/empty`, 'utf8'), '');
  });

  it('lets the step change what belongs to root in the image', async () => {
    await serve((image) => makeImage(image, ['-all-root']));
    const container = await enter();
    const script =
      'touch /etc/new && echo more >>/etc/motd && chmod 700 /many && rm /text && mkdir /etc/dir && cat /etc/motd';
    assert.equal(run(container, script), 'welcome\nmore\n');
    assert.ok(!fs.existsSync(`${container.root}/text`));
  });

  it('finds names in large directories, and misses others', async () => {
    await serve((image) => makeImage(image));
    const { root } = await enter();
    for (const i of [0, 1, 1234, manyFiles - 1])
      assert.equal(fs.readFileSync(`${root}/many/a-file-with-number-${i}`, 'utf8'), String(i));
    for (const name of ['a', 'a-file-with-number-', 'a-file-with-number-1234x', 'zz', '%'])
      assert.ok(!fs.existsSync(`${root}/many/${name}`), name);
    assert.equal(fs.readdirSync(`${root}/many`).length, manyFiles);
  });

  it('ends its server when the last process of the step ends, and not before', async () => {
    await serve((image) => makeImage(image));
    const container = await enter();
    const server = findServer();
    const rank = startRank(container, 'echo here; read line; cat /text >/tmp/text && echo $line');
    await new Promise((resolve) => rank.stdout?.once('data', resolve));
    await endHolder(container);
    await sleep(100);
    assert.ok(isRunning(server));
    const said = new Promise((resolve) => rank.stdout?.once('data', (text) => resolve(String(text))));
    rank.stdin?.end('still served\n');
    assert.equal(await said, 'still served\n');
    await endOf(server);
  });

  it('ends its server when holder and ranks are killed', async () => {
    await serve((image) => makeImage(image));
    const container = await enter();
    const server = findServer();
    const rank = startRank(container, 'echo here; while :; do cat /noise; done >/tmp/noise');
    await new Promise((resolve) => rank.stdout?.once('data', resolve));
    await endHolder(container);
    rank.kill('SIGKILL');
    await endOf(server);
  });

  it('goes on serving when signals meant for the ranks reach the server', async () => {
    await serve((image) => makeImage(image));
    const container = await enter();
    const server = findServer();
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGHUP', 'SIGXCPU'] as const)
      process.kill(server, signal);
    assert.equal(run(container, 'cat /etc/motd'), 'welcome\n');
  });

  it('shows errors instead of files, and never blocks, when its server is killed', async () => {
    await serve((image) => makeImage(image));
    const container = await enter();
    const server = findServer();
    process.kill(server, 'SIGKILL');
    await endOf(server);
    assert.throws(() => fs.readFileSync(`${container.root}/noise`), /ENOTCONN|ECONNABORTED/);
  });

  it('locks its server up', async () => {
    await serve((image) => makeImage(image));
    const container = await enter();
    const server = findServer();
    for (const capabilities of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      assert.match(statusField(server, capabilities) ?? '', /^0+$/, capabilities);
    assert.equal(statusField(server, 'NoNewPrivs'), '1');
    assert.equal(statusField(server, 'Seccomp'), '2');
    assert.deepEqual(fs.readdirSync(`/proc/${server}/root`), []);
    assert.deepEqual(fs.readdirSync(`/proc/${server}/fd`).sort(), ['3', '4']);
    for (const kind of ['user', 'mnt', 'net', 'ipc', 'uts'])
      assert.notEqual(
        fs.readlinkSync(`/proc/${server}/ns/${kind}`),
        fs.readlinkSync(`/proc/${container.holder}/ns/${kind}`),
        kind,
      );
    // Not dumpable: its own user may not look into it.
    assert.equal(fs.statSync(`/proc/${server}/mem`).uid, 0);
  });

  it('keeps the image while the step uses it, and no longer', async () => {
    const tree = await serve((image) => makeImage(image));
    const container = await enter();
    await sandbox().sweep();
    assert.ok(fs.existsSync(`${tree}/image.squashfs`));
    const server = findServer();
    await endHolder(container);
    await endOf(server);
    await sandbox().sweep();
    assert.ok(!fs.existsSync(tree));
  });

  it('says what the administrators can do where /dev/fuse is not for users', async () => {
    const tree = await serve((image) => makeImage(image));
    keep(tree);
    for (const [fuse, reason] of [
      ['for root', 'Permission denied'],
      ['missing', 'No such device( or address)?'],
    ] as const)
      await sandbox().fail(
        new RegExp(`squashfs = "unpack".*cannot open /dev/fuse: ${reason}$`),
        options(fuse),
      );
    assert.deepEqual(servers(), []);
  });

  it('links no library but these, of which none is under the GPL', () => {
    const server = 'build/libexec/stowage-squashfuse';
    const linked = execFileSync('readelf', ['--dynamic', '--wide', server], { encoding: 'utf8' });
    const names = [...linked.matchAll(/\(NEEDED\).*\[(.*?)\.so/g)].map(([, name]) => name);
    assert.deepEqual(names.sort(), ['libc', 'libseccomp', 'libsquashfs']);
  });

  const damaged: Record<string, [RegExp, (image: string) => void]> = {
    'no squashfs image': [/not a squashfs image$/, (image) => fs.writeFileSync(image, Buffer.alloc(100_000))],
    'four bytes of one': [/damaged/, (image) => fs.writeFileSync(image, 'hsqs')],
    'half of one': [
      /damaged/,
      (image) => {
        makeImage(image);
        fs.truncateSync(image, fs.statSync(image).size / 2);
      },
    ],
  };
  for (const [what, [sentence, write]] of Object.entries(damaged))
    it(`refuses ${what}`, async () => {
      const tree = await serve(write);
      keep(tree);
      await sandbox().fail(sentence, options('for all'));
      assert.deepEqual(servers(), []);
    });
});
