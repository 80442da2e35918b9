import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { cpioArchive, cpioEntry } from '../support/cpio-writer.js';
import { sif } from '../support/sif-writer.js';
import { makeSquashfs } from '../support/squashfs-image.js';
import {
  archive,
  base256,
  directory,
  file,
  gnuLongName,
  hardLink,
  pax,
  symlink,
} from '../support/tar-writer.js';
import {
  binary,
  digestOf,
  eachInSandbox,
  isSanitized,
  ordinaryUser,
  outcomeOf,
  type Outcome,
} from './sandbox.js';

interface Identified extends Outcome {
  /** As they come. */
  records: string[];
}

describe('stowage-unpack: identification', () => {
  const sandbox = eachInSandbox();

  async function identify(blob: Buffer, ...more: string[]): Promise<Identified> {
    const fd = sandbox().openFile(blob);
    const child = spawn(binary, ['--identify', '4', '--progress-fd', '3', ...more], {
      ...ordinaryUser,
      env: {},
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', fd],
    });
    fs.closeSync(fd);
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
    const outcome = await outcomeOf(child);
    return { ...outcome, records: output.split('\0').slice(0, -1) };
  }

  async function identified(blob: Buffer): Promise<string[]> {
    const { status, stderr, records } = await identify(blob);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    return records;
  }

  async function refuses(blob: Buffer, sentence: RegExp): Promise<void> {
    const { status, stderr, records } = await identify(blob);
    assert.match(stderr, sentence);
    assert.match(stderr, /^[^\x00-\x1f\x7f]+\n$/);
    assert.deepEqual({ status, records }, { status: 1, records: [] });
  }

  /** What is said of a whole file. */
  const whole = (kind: string, blob: Buffer, ...more: string[]): string[] => [
    `kind=${kind}`,
    `digest=${digestOf(blob)}`,
    `size=${blob.length}`,
    ...more,
  ];

  /** The members of an archive, with their contents instead of their places. */
  function contents(blob: Buffer, records: readonly string[]): Record<string, string> {
    assert.equal(records[0], 'kind=archive');
    return Object.fromEntries(
      records.slice(1).map((record) => {
        const match = /^member=(\d+) (\d+) (.*)$/s.exec(record);
        assert.ok(match, record);
        const [, offset, size, name = ''] = match;
        return [name, blob.toString('utf8', Number(offset), Number(offset) + Number(size))];
      }),
    );
  }

  const rootFileSystem = archive(directory('./'), directory('./usr'), file('./usr/a', '1'));

  it('knows tar and cpio, compressed or not', async () => {
    const cpio = cpioArchive('newc', cpioEntry('newc', { name: 'a' }, '1'));
    for (const [kind, blob] of [
      ['tar', rootFileSystem],
      ['tar', archive(file('hello', 'a program alone'))],
      ['tar', gzipSync(rootFileSystem)],
      ['cpio', cpio],
      ['cpio', gzipSync(cpio)],
    ] as const)
      assert.deepEqual(await identified(blob), whole(kind, blob));
  });

  it('knows squashfs and SIF, and where the image is in them', async () => {
    const source = path.join(sandbox().directory, 'source');
    fs.mkdirSync(source);
    const squashfs = makeSquashfs(source, path.join(sandbox().directory, 'image'));
    fs.rmdirSync(source);
    const length = `length=${squashfs.length}`;
    assert.deepEqual(await identified(squashfs), whole('squashfs', squashfs, 'offset=0', length));
    const image = sif([{ content: squashfs, architecture: '04' }]);
    const place = `offset=${image.indexOf(squashfs)}`;
    assert.deepEqual(await identified(image), whole('sif', image, place, length, 'architecture=arm64'));
  });

  it('lists the members of a docker archive, names cleaned and links resolved', async () => {
    const blob = archive(
      directory('abc/'),
      file('abc/layer.tar', 'layer'),
      symlink('def/layer.tar', '../abc/layer.tar'),
      symlink('ghi', 'def/layer.tar'),
      hardLink('./jkl', './abc/layer.tar'),
      symlink('dangling', 'nowhere'),
      symlink('loop', 'loop'),
      symlink('outside', '../../etc/passwd'),
      symlink('absolute', '/etc/passwd'),
      file('./manifest.json', 'old'),
      file('manifest.json', 'last wins'),
      file('empty', ''),
      gnuLongName(`long/${'n'.repeat(150)}`),
      file('x', 'gnu'),
      pax(['path', 'paxed']),
      file('y', 'pax'),
    );
    assert.deepEqual(contents(blob, await identified(blob)), {
      'abc/layer.tar': 'layer',
      'def/layer.tar': 'layer',
      ghi: 'layer',
      jkl: 'layer',
      'manifest.json': 'last wins',
      empty: '',
      [`long/${'n'.repeat(150)}`]: 'gnu',
      paxed: 'pax',
    });
  });

  it('lists the members of an OCI archive', async () => {
    const blob = archive(
      directory('blobs/'),
      directory('blobs/sha256/'),
      file('blobs/sha256/abc', '{"config": 1}'),
      file('index.json', '{}'),
      file('oci-layout', '{"imageLayoutVersion": "1.0.0"}'),
    );
    assert.deepEqual(Object.keys(contents(blob, await identified(blob))).sort(), [
      'blobs/sha256/abc',
      'index.json',
      'oci-layout',
    ]);
  });

  it('does not read the bodies of an archive', async () => {
    const name = path.join(sandbox().directory, 'sparse');
    const size = 60 * 2 ** 30;
    const head = file('abc/layer.tar', '', { size: 0, rawSize: base256(BigInt(size)) });
    fs.writeFileSync(name, head);
    fs.truncateSync(name, head.length + size);
    fs.appendFileSync(name, archive(file('manifest.json', '[]')));
    const fd = fs.openSync(name, 'r');
    const started = Date.now();
    const outcome = spawnSync(binary, ['--identify', '3'], {
      ...ordinaryUser,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe', fd],
    });
    fs.closeSync(fd);
    fs.unlinkSync(name);
    assert.equal(outcome.stderr, '');
    assert.equal(
      outcome.stdout,
      `kind=archive\0member=512 ${size} abc/layer.tar\0member=${size + 1024} 2 manifest.json\0`,
    );
    assert.ok(Date.now() - started < 10_000);
  });

  it('takes a root file system for one, whatever else is at its top', async () => {
    const blob = archive(file('manifest.json', '[]'), directory('etc/'));
    assert.deepEqual(await identified(blob), whole('tar', blob));
  });

  it('takes an archive of more than 10,000 members for a root file system', async () => {
    const many = Array.from({ length: 10_001 }, (_, i) => file(`f${i}`, ''));
    const blob = archive(...many, file('manifest.json', '[]'));
    assert.deepEqual(await identified(blob), whole('tar', blob));
  });

  it('refuses an image archive that is compressed as a whole', async () => {
    const blob = gzipSync(archive(file('abc/layer.tar', 'x'.repeat(5000)), file('manifest.json', '[]')));
    await refuses(blob, /image archive.*compressed as a whole; decompress it first/);
  });

  it('refuses an image archive that is truncated', async () => {
    const blob = archive(file('manifest.json', '[]'), file('abc/layer.tar', 'x'.repeat(5000)));
    await refuses(blob.subarray(0, 3000), /truncated: it ends within its member 'abc\/layer.tar'/);
  });

  it('refuses names that climb out, and headers that contradict each other', async () => {
    await refuses(archive(file('manifest.json', '[]'), file('../x', '')), /'\.\.'/);
    const two = archive(file('manifest.json', '[]'), gnuLongName('a'), pax(['path', 'b']), file('x', ''));
    await refuses(two, /called 'b' by its PAX header/);
  });

  it('refuses what is none of these, and says what Stowage takes', async () => {
    for (const blob of [Buffer.alloc(0), Buffer.from('#!/bin/sh\n'), Buffer.alloc(5000), gzipSync('hello')])
      await refuses(blob, /no image that Stowage knows; it takes .*tar.*cpio.*squashfs.*SIF.*docker save/);
  });

  it('refuses damaged squashfs and SIF in words', async () => {
    await refuses(Buffer.from('hsqs'.padEnd(200, '\0')), /squashfs image is of version 0\.0/);
    await refuses(sif([]), /room for 0 objects/);
  });

  it('reports progress while it hashes', async () => {
    const { progress } = await identify(rootFileSystem);
    const size = rootFileSystem.length;
    assert.equal(progress, `0 0 ${size}\n0 ${size} ${size}\n`);
  });

  it('stops at its limit of processor time, in words', async function () {
    if (isSanitized) this.skip(); // the core is not supervised
    const name = path.join(sandbox().directory, 'large');
    fs.writeFileSync(name, rootFileSystem);
    fs.truncateSync(name, 20 * 2 ** 30);
    const fd = fs.openSync(name, 'r');
    const outcome = spawnSync(binary, ['--identify', '3', '--max-seconds', '1'], {
      ...ordinaryUser,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe', fd],
    });
    fs.closeSync(fd);
    fs.unlinkSync(name);
    assert.match(
      outcome.stderr,
      /^unpacking the image took more than 1 seconds of processor time, [^\n]+\n$/,
    );
    assert.equal(outcome.status, 1);
  });
});
