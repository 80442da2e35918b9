import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

import { busyboxImage } from '../support/busybox-image.js';
import type { OciImage } from '../support/oci-image.js';
import { file } from '../support/tar-writer.js';
import { digestOf, statusField } from '../unpack/sandbox.js';
import { descendantsOf, eachInCliSandbox, outcomeOf } from './sandbox.js';

/** An OCI layout of one gzip layer with this many empty files, which takes a while to unpack. */
function manyFiles(directory: string, count: number): void {
  const names = Array.from({ length: count }, (_, i) => file(`${i % 100}/${i}`));
  const tar = Buffer.concat([...names, Buffer.alloc(1024)]);
  const add = (bytes: Buffer, mediaType: string) => {
    const digest = digestOf(bytes);
    fs.writeFileSync(path.join(directory, 'blobs', digest.replace(':', '/')), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const document = (content: object, mediaType: string) =>
    add(Buffer.from(JSON.stringify(content)), mediaType);
  fs.mkdirSync(path.join(directory, 'blobs/sha256'), { recursive: true });
  const type = 'application/vnd.oci.image';
  const layer = add(gzipSync(tar, { level: 1 }), `${type}.layer.v1.tar+gzip`);
  const rootfs = { type: 'layers', diff_ids: [digestOf(tar)] };
  const platform = { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch };
  const config = document({ ...platform, rootfs }, `${type}.config.v1+json`);
  const manifest = document({ schemaVersion: 2, config, layers: [layer] }, `${type}.manifest.v1+json`);
  fs.writeFileSync(
    path.join(directory, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [manifest] }),
  );
  fs.writeFileSync(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
}

describe('stowage with an OCI layout', () => {
  const sandbox = eachInCliSandbox();
  let image: OciImage;

  before(async function () {
    this.timeout(60_000);
    image = await busyboxImage();
  });
  beforeEach(() => {
    fs.cpSync(image.directory, sandbox().path('layout'), { recursive: true });
    sandbox().giveToUser();
  });

  for (const source of [
    'oci:layout',
    'oci:layout:image',
    'oci:./layout',
    './layout',
    '~/layout',
    'layout:x',
  ]) {
    const isThere = source !== 'layout:x';
    it(`${isThere ? 'unpacks' : 'does not take for a path'} ${source}`, async () => {
      if (!isThere)
        return sandbox().refuse(/^stowage: (?:registry docker\.io|image docker\.io)/, 1, 'inspect', source);
      await sandbox().succeed('unpack', '--quiet', source, 'tree');
      assert.equal(sandbox().read('tree/etc/motd'), 'from the upper layer\n');
      assert.ok(!fs.existsSync(sandbox().path('tree/etc/withdrawn')));
      assert.ok(!fs.existsSync(sandbox().cache), 'no store is needed for local files');
    });
  }

  it('takes a path with ":" in it that is there as a whole', async () => {
    fs.renameSync(sandbox().path('layout'), sandbox().path('layout:image'));
    const { name } = await sandbox().inspect('oci:layout:image');
    assert.equal(name, `oci:${sandbox().path('layout:image')}`);
  });

  it('inspects it', async () => {
    const inspection = await sandbox().inspect('oci:layout:image');
    assert.equal(inspection['source'], 'oci-layout');
    assert.equal(inspection['name'], `oci:${sandbox().path('layout')}:image`);
    const manifest = JSON.parse(sandbox().read('layout/index.json')) as { manifests: { digest: string }[] };
    assert.equal(inspection['digest'], manifest.manifests[0]?.digest);
    assert.match(String(inspection['created']), /^20\d\d-\d\d-\d\dT/);
    assert.equal((inspection['layers'] as unknown[]).length, 2);
  });

  it('says which tags there are when it has no such', async () => {
    await sandbox().refuse(
      /there is no "nosuch" in it, only image$/m,
      1,
      'unpack',
      'oci:layout:nosuch',
      'tree',
    );
  });

  for (const [what, change, sentence] of [
    [
      'a blob that is a symbolic link',
      'mv $blob /tmp/../$PWD/elsewhere && ln -s $PWD/elsewhere $blob',
      /is a symbolic link/,
    ],
    [
      'a directory of blobs that is a symbolic link',
      'mv layout/blobs/sha256 aside && ln -s $PWD/aside layout/blobs/sha256',
      /lies behind a file or a symbolic link/,
    ],
    ['a FIFO for a blob', 'rm $blob && mkfifo $blob', /is not a regular file/],
    [
      'a FIFO for its index',
      'rm layout/index.json && mkfifo layout/index.json',
      /"index\.json" is not a regular file/,
    ],
    ['a layer that is too short', 'truncate -s 1000 $blob', /has 1000 bytes, and its manifest promises \d+/],
    ['a layer that is not there', 'rm $blob', /is missing; write it again/],
    ['a layer that you may not read', 'chmod 000 $blob', /cannot be read by you/],
    [
      'a layer with other bytes',
      'printf x | dd of=$blob bs=1 seek=500 conv=notrunc status=none',
      /is refused: /,
    ],
  ] as const) {
    it(`refuses ${what}`, async () => {
      const largest = "find layout/blobs -type f -printf '%s %p\\n' | sort -n | tail -1 | cut -d' ' -f2";
      execFileSync('bash', ['-ec', `blob=$(${largest}); ${change}`], { cwd: sandbox().directory });
      sandbox().giveToUser();
      await sandbox().refuse(sentence, 1, 'unpack', 'oci:layout', 'tree');
    });
  }

  for (const [directory, make, sentence] of [
    [
      'full',
      'mkdir full && touch full/x',
      /cannot unpack to "full": it is not empty; name a directory that does not exist yet$/m,
    ],
    ['file', 'touch file', /cannot unpack to "file": there is a file of that name/],
    ['.', 'true', /cannot unpack to "\.": (?:it is not empty|it is the current directory)/],
    ['no/such', 'true', /cannot unpack to "no\/such": ".*\/no" does not exist; make it first$/m],
    [
      'dangling',
      'ln -s nowhere dangling',
      /cannot unpack to "dangling": it is a symbolic link that leads nowhere$/m,
    ],
    ['/proc/x', 'true', /cannot unpack to "\/proc\/x": /],
    [
      '/usr/x',
      'true',
      /cannot unpack to "\/usr\/x": you may not write there; name a directory of your own$/m,
    ],
  ] as const) {
    it(`does not unpack to ${directory} (${make})`, async () => {
      execFileSync('bash', ['-ec', make], { cwd: sandbox().directory });
      sandbox().giveToUser();
      await sandbox().refuse(sentence, 1, 'unpack', 'oci:layout', directory);
    });
  }

  it('is not led astray by what lies where the partial tree shall be', async () => {
    fs.mkdirSync(sandbox().path('precious/inside'), { recursive: true });
    fs.symlinkSync('precious', sandbox().path('.tree.partial'));
    sandbox().giveToUser();
    await sandbox().refuse(
      /"\/.*\/\.tree\.partial" is in the way; remove it/,
      1,
      'unpack',
      'oci:layout',
      'tree',
    );
    assert.ok(fs.existsSync(sandbox().path('precious/inside')));
  });

  it('goes on when nobody listens any more', async () => {
    const child = sandbox().start(['unpack', 'oci:layout', 'tree']);
    child.stderr?.destroy();
    assert.equal((await outcomeOf(child)).status, 0);
    assert.equal(sandbox().read('tree/etc/motd'), 'from the upper layer\n');
    const inspecting = sandbox().start(['inspect', 'oci:layout']);
    inspecting.stdout?.destroy();
    assert.deepEqual(await outcomeOf(inspecting), { status: 0, stdout: '', stderr: '' });
  });

  for (const [name, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`leaves no file and no process when ${name} ends it in the middle of unpacking`, async () => {
      fs.mkdirSync(sandbox().path('many'));
      manyFiles(sandbox().path('many'), 100_000);
      sandbox().giveToUser();
      const child = sandbox().start(['unpack', '--quiet', 'oci:many', 'tree']);
      const ended = outcomeOf(child);
      const partial = sandbox().path('.tree.partial');
      while (!fs.existsSync(partial) || fs.readdirSync(partial).length === 0) await sleep(2);
      const processes = descendantsOf(child.pid);
      assert.ok(processes.length >= 2, 'the unpacker and its supervisor');
      // So that it cannot end by itself.
      for (const pid of processes) process.kill(pid, 'SIGSTOP');
      child.kill(name);
      assert.deepEqual(await ended, { status, stdout: '', stderr: '' });
      assert.deepEqual(sandbox().names(), ['layout', 'many']);
      assert.deepEqual(
        // Whether init has asked for its status does not matter.
        processes.filter((pid) => !(statusField(pid, 'State') ?? 'Z').startsWith('Z')),
        [],
      );
    });
  }

  it('shows on a terminal how far it is, on one line that goes away', () => {
    const shown = sandbox().onTerminal('unpack oci:layout tree');
    assert.match(shown, /^(?:\rstowage: unpacking \S+: \d+% of 1\.1 MB[^\r\n]*\x1b\[K)+\r\x1b\[Kstowage: /);
    assert.match(shown, /stowage: \S+\/tree is oci:\S+ \(sha256:[0-9a-f]{64}\)\r\n$/);
  });
});
