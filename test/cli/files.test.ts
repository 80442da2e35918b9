import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

import { busyboxImage } from '../support/busybox-image.js';
import type { OciImage } from '../support/oci-image.js';
import { dataTypes, sif } from '../support/sif-writer.js';
import { makeSquashfs } from '../support/squashfs-image.js';
import { digestOf } from '../unpack/sandbox.js';
import { eachInCliSandbox } from './sandbox.js';

/** Makes `file` of the directory `root`. */
const makers: readonly (readonly [
  file: string,
  command: string,
  kind: string,
  compression: string | null,
])[] = [
  ['x.tar', 'tar -C root -cf x.tar .', 'tar', null],
  ['x.tar.gz', 'tar -C root -czf x.tar.gz .', 'tar', 'gzip'],
  ['x.tar.bz2', 'tar -C root -cjf x.tar.bz2 .', 'tar', 'bzip2'],
  ['x.tar.xz', 'tar -C root -cJf x.tar.xz .', 'tar', 'xz'],
  ['x.tar.zst', 'tar -C root -I zstd -cf x.tar.zst .', 'tar', 'zstd'],
  ['x.cpio', '(cd root && find . | cpio -o -H newc --quiet) > x.cpio', 'cpio', null],
  ['x.cpio.gz', '(cd root && find . | cpio -o -H newc --quiet) | gzip > x.cpio.gz', 'cpio', 'gzip'],
  ['x.sqsh', 'mksquashfs root x.sqsh -quiet -no-progress -comp zstd', 'squashfs', 'zstd'],
  ['x.squashfs', 'mksquashfs root x.squashfs -quiet -no-progress -comp gzip -b 65536', 'squashfs', 'gzip'],
  // What it is called does not matter.
  ['image', 'tar -C root -czf image .', 'tar', 'gzip'],
];

describe('stowage with files', () => {
  const sandbox = eachInCliSandbox();
  const shell = (command: string): void => {
    execFileSync('bash', ['-ec', command], {
      cwd: sandbox().directory,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    sandbox().giveToUser();
  };
  let image: OciImage;

  before(async function () {
    this.timeout(60_000);
    image = await busyboxImage();
  });

  describe('that hold a root file system', () => {
    beforeEach(() => {
      shell(
        'mkdir -p root/etc root/bin && echo hello > root/etc/motd && ln -s ../etc/motd root/bin/link && chmod 700 root/bin',
      );
    });

    for (const [file, command, kind, compression] of makers) {
      it(`unpacks and inspects ${file}`, async () => {
        shell(command);
        await sandbox().succeed('unpack', '--quiet', `./${file}`, 'tree');
        assert.equal(sandbox().read('tree/etc/motd'), 'hello\n');
        assert.equal(fs.readlinkSync(sandbox().path('tree/bin/link')), '../etc/motd');
        assert.equal(fs.statSync(sandbox().path('tree/bin')).mode & 0o7777, 0o700);
        const inspection = await sandbox().inspect(`./${file}`);
        const bytes = fs.readFileSync(sandbox().path(file));
        assert.deepEqual(
          { ...inspection, squashfs: null },
          {
            kind,
            name: sandbox().path(file),
            digest: digestOf(bytes),
            size_bytes: bytes.length,
            compression,
            architecture: null,
            squashfs: null,
          },
        );
        if (kind !== 'squashfs') return;
        const { offset, length, block_size, created } = inspection['squashfs'] as Record<string, unknown>;
        assert.deepEqual([offset, block_size], [0, file === 'x.squashfs' ? 65536 : 131072]);
        assert.ok(Number(length) > 0 && Number(length) <= bytes.length);
        assert.match(String(created), /^20\d\d-/);
      });
    }

    it('unpacks and inspects x.sif, whatever stands before its squashfs', async () => {
      const { directory } = sandbox();
      const squashfs = makeSquashfs(`${directory}/root`, `${directory}/made`, ['-comp', 'zstd']);
      const [number, architecture] = process.arch === 'x64' ? ['02', 'amd64'] : ['04', 'arm64'];
      const definition = { content: Buffer.from('Bootstrap: docker\n'), type: dataTypes.definition };
      const bytes = sif([definition, { content: squashfs, architecture: number }]);
      sandbox().write('x.sif', bytes);
      await sandbox().succeed('unpack', '--quiet', './x.sif', 'tree');
      assert.equal(sandbox().read('tree/etc/motd'), 'hello\n');
      const inspection = await sandbox().inspect('./x.sif');
      assert.deepEqual(
        [inspection['kind'], inspection['digest'], inspection['size_bytes']],
        ['sif', digestOf(bytes), bytes.length],
      );
      assert.deepEqual([inspection['architecture'], inspection['compression']], [architecture, 'zstd']);
      const { offset, block_size } = inspection['squashfs'] as Record<string, unknown>;
      assert.deepEqual([offset, block_size], [bytes.indexOf(squashfs), 131072]);
      const { stdout } = await sandbox().succeed('inspect', './x.sif');
      assert.match(stdout, new RegExp(`^platform {5}linux/${architecture}$`, 'm'));
    });

    it('copies a directory', async () => {
      shell('touch -d 2001-02-03 root/etc/motd');
      await sandbox().succeed('unpack', '--quiet', './root', 'tree');
      assert.equal(execFileSync('diff', ['-r', 'root', 'tree'], { cwd: sandbox().directory }).length, 0);
      assert.equal(
        fs.statSync(sandbox().path('tree/etc/motd')).mtimeMs,
        fs.statSync(sandbox().path('root/etc/motd')).mtimeMs,
      );
      assert.deepEqual(await sandbox().inspect('./root'), {
        kind: 'directory',
        name: sandbox().path('root'),
      });
    });

    it('takes in turn what it made', async () => {
      shell('tar -C root -cf x.tar .');
      await sandbox().succeed('unpack', '--quiet', './x.tar', 'tree');
      await sandbox().succeed('unpack', '--quiet', './tree', 'again');
      assert.equal(sandbox().read('again/etc/motd'), 'hello\n');
    });

    it('does not copy a directory into itself', async () => {
      await sandbox().refuse(
        /lies in the directory that is to be unpacked/,
        1,
        'unpack',
        './root',
        'root/copy',
      );
      assert.deepEqual(fs.readdirSync(sandbox().path('root')).sort(), ['bin', 'etc']);
    });

    it('does not take it for an archive of an image', async () => {
      shell('tar -C root -cf x.tar .');
      await sandbox().refuse(
        /"\/.*\/x\.tar" is a root file system \(tar\) and no archive of an image; write its path alone$/m,
        1,
        ...['inspect', 'docker-archive:x.tar'],
      );
    });
  });

  describe('that are archives of images', () => {
    beforeEach(() => {
      fs.cpSync(image.directory, sandbox().path('layout'), { recursive: true });
      const copy = 'skopeo --insecure-policy --tmpdir . copy --quiet oci:layout:image';
      shell(`${copy} oci-archive:oci.tar:1.2 && ${copy} docker-archive:docker.tar:team/app:1.2`);
    });

    for (const source of [
      ...['oci-archive:oci.tar', 'oci-archive:oci.tar:1.2', './oci.tar'],
      ...['docker-archive:docker.tar', 'docker-archive:docker.tar:team/app:1.2', './docker.tar'],
    ]) {
      it(`unpacks and inspects ${source}`, async () => {
        await sandbox().succeed('unpack', '--quiet', source, 'tree');
        assert.equal(sandbox().read('tree/etc/motd'), 'from the upper layer\n');
        assert.ok(!fs.existsSync(sandbox().path('tree/etc/withdrawn')));
        const inspection = await sandbox().inspect(source);
        assert.equal(inspection['source'], source.includes('oci') ? 'oci-archive' : 'docker-archive');
        const layers = inspection['layers'] as { digest: string | null; size_bytes: number }[];
        assert.equal(layers.length, 2);
        assert.ok(layers.every(({ size_bytes }) => size_bytes > 0));
        assert.ok(layers.every(({ digest }) => (digest === null) === source.includes('docker')));
        assert.deepEqual((inspection['config'] as { command: string[] }).command, ['/bin/sh']);
      });
    }

    it('says what the archive is when it is the other kind', async () => {
      await sandbox().refuse(
        /is not what oci-archive: stands for; write docker-archive:/,
        1,
        'inspect',
        'oci-archive:docker.tar',
      );
      await sandbox().refuse(
        /is not what docker-archive: stands for; write oci-archive:/,
        1,
        'inspect',
        'docker-archive:oci.tar',
      );
    });

    it('refuses an archive that was cut', async () => {
      shell('truncate -s 600K oci.tar');
      await sandbox().refuse(/oci\.tar/, 1, 'unpack', './oci.tar', 'tree');
    });
  });

  for (const [make, source, sentence] of [
    ['true', './nosuch', /"\/.*\/nosuch" does not exist; check the spelling$/m],
    ['true', 'oci:nosuch', /"\/.*\/nosuch" does not exist; check the spelling$/m],
    [
      'touch file',
      './file/x',
      /"\/.*\/file\/x" does not exist, as part of its path is a file; check the spelling$/m,
    ],
    [
      'mkfifo fifo',
      './fifo',
      /is a FIFO, a socket or a device, and only files and directories can hold an image/,
    ],
    ['ln -s /dev/zero zero', './zero', /is a FIFO, a socket or a device/],
    ['ln -s loop loop', './loop', /is a symbolic link that leads to itself; name the file$/m],
    [
      'echo no > secret && chmod 0 secret',
      './secret',
      /cannot be read by you; ask its owner for permission$/m,
    ],
    ['echo text > file', './file', /^stowage: \/.*\/file is refused: /],
    ['true > empty', './empty', /^stowage: \/.*\/empty is refused: /],
    ['echo > x.sif', 'x.sif', /write \.\/x\.sif for a file of that name/],
    [
      'touch file',
      'oci:file',
      /is a file and no OCI layout; if it is an archive of one, write oci-archive:\//,
    ],
    ['mkdir dir', 'oci:dir', /its file "oci-layout" is missing/],
    ['mkdir dir', 'docker-archive:dir', /is a directory and no archive; write oci:\//],
    ['true', '/', /names? what is in it|is no image/],
  ] as const) {
    it(`refuses ${source} (${make})`, async () => {
      shell(make);
      await sandbox().refuse(sentence, 1, 'unpack', source, 'tree');
      await sandbox().refuse(sentence, 1, 'inspect', source);
    });
  }
});
