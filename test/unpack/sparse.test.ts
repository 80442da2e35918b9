import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { archive, base256, entry, file, header, padded, pax } from '../support/tar-writer.js';
import { digestOf, eachInSandbox } from './sandbox.js';

const mebibyte = 1 << 20;

describe('stowage-unpack: sparse files', () => {
  const sandbox = eachInSandbox();

  /** Ten pieces of data in 20 MiB, so that old GNU headers need an extension block; ends in a hole. */
  function makeSparse(directory: string): void {
    const fd = fs.openSync(path.join(directory, 'holes'), 'w');
    for (let i = 1; i <= 10; i++) fs.writeSync(fd, `piece ${i}`, i * 1.5 * mebibyte);
    fs.ftruncateSync(fd, 20 * mebibyte);
    fs.closeSync(fd);
  }

  const variants = [
    ['--format=gnu'],
    ['--format=posix', '--sparse-version=0.0'],
    ['--format=posix', '--sparse-version=0.1'],
    ['--format=posix', '--sparse-version=1.0'],
  ];
  for (const options of variants) {
    it(`unpacks GNU tar --sparse ${options.join(' ')} with its holes`, async () => {
      const source = path.join(sandbox().directory, 'source');
      fs.mkdirSync(source);
      makeSparse(source);
      const expected = digestOf(fs.readFileSync(path.join(source, 'holes')));
      fs.writeFileSync(path.join(source, 'next'), 'after');
      const tar = execFileSync('tar', [...options, '--sparse', '-C', source, '-cf', '-', 'holes', 'next']);
      assert.ok(tar.length < mebibyte, 'GNU tar saw the holes');
      fs.rmSync(source, { recursive: true });
      const tree = await sandbox().succeed([tar]);
      assert.equal(tree.get('holes')?.content, expected);
      assert.equal(sandbox().read('next'), 'after');
      const status = fs.statSync(path.join(sandbox().tree, 'holes'));
      assert.equal(status.size, 20 * mebibyte);
      assert.ok(status.blocks * 512 < mebibyte, `${status.blocks} blocks are allocated`);
    });
  }

  const exbibyte = 1n << 60n;
  const octal = (value: number): Buffer => Buffer.from(`${value.toString(8).padStart(11, '0')}\0`);

  it('refuses an EiB of claimed holes in an old GNU header', async () => {
    const bomb = header({ name: 'bomb', type: 'S', format: 'gnu', patches: [[483, base256(exbibyte)]] });
    await sandbox().refuse([archive(bomb)], /'bomb'.*exceed/);
  });

  for (const [version, records] of [
    [
      '0.0',
      [
        ['GNU.sparse.size', String(exbibyte)],
        ['GNU.sparse.numblocks', '0'],
      ],
    ],
    [
      '0.1',
      [
        ['GNU.sparse.name', 'bomb'],
        ['GNU.sparse.size', String(exbibyte)],
        ['GNU.sparse.map', '0,0'],
      ],
    ],
  ] as const) {
    it(`refuses an EiB of claimed holes in a PAX ${version} header`, async () => {
      await sandbox().refuse([archive(pax(...records), file('bomb', ''))], /'bomb'.*exceed/);
    });
  }

  const sparse10 = (size: bigint, map: string): Buffer =>
    Buffer.concat([
      pax(
        ...([
          ['GNU.sparse.major', '1'],
          ['GNU.sparse.minor', '0'],
        ] as const),
        ...([
          ['GNU.sparse.name', 'bomb'],
          ['GNU.sparse.realsize', String(size)],
        ] as const),
      ),
      entry({ name: 'GNUSparseFile.0/bomb' }, padded(map)),
    ]);

  it('refuses an EiB of claimed holes in a PAX 1.0 header', async () => {
    await sandbox().refuse([archive(sparse10(exbibyte, '1\n0\n0\n'))], /'bomb'.*exceed/);
  });

  it('refuses more extents than memory should hold', async () => {
    await sandbox().refuse([archive(sparse10(1000n, '99999999\n0\n0\n'))], /more than 65536 holes/);
    const block = Buffer.alloc(512);
    block[504] = 1;
    const extended = header({
      name: 'bomb',
      type: 'S',
      format: 'gnu',
      patches: [
        [386, octal(0)],
        [482, Buffer.from([1])],
      ],
    });
    await sandbox().refuse(
      [Buffer.concat([extended, ...Array<Buffer>(2100).fill(block)])],
      /map is longer than 1 MiB/,
    );
  });

  it('refuses data beyond the claimed size', async () => {
    const map = Buffer.concat([octal(4096), octal(4)]);
    const patches = [
      [386, map],
      [483, octal(100)],
    ] as const;
    const bomb = entry({ name: 'beyond', type: 'S', format: 'gnu', patches }, 'data');
    await sandbox().refuse([archive(bomb)], /'beyond' has data beyond its own size/);
  });

  it('refuses sparse maps that are no numbers or negative', async () => {
    for (const map of ['x\n', '1\n-5\n4\n', '2\n0\n4\n', '1\n99999999999999999999\n4\n'])
      await sandbox().refuse([archive(sparse10(1000n, map))], /damaged|beyond|before/);
  });
});
