import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { cpioArchive, cpioEntry } from '../support/cpio-writer.js';
import { archive, directory, file } from '../support/tar-writer.js';
import { fileArguments, outputOf, refuseFile, startWithFile, succeedWithFile } from './root-file.js';
import { eachInSandbox, outcomeOf } from './sandbox.js';

const compressors: [name: string, command: string, ...options: string[]][] = [
  ['gzip', 'gzip', '-c'],
  ['bzip2', 'bzip2', '-c'],
  ['xz', 'xz', '-c'],
  ['zstd', 'zstd', '-q', '-c'],
];

describe('stowage-unpack: compression of root file systems in files', () => {
  const sandbox = eachInSandbox();
  const content = Array.from({ length: 30_000 }, (_, i) => String((i * 2654435761) % 4294967296)).join(' ');
  const tar = archive(directory('usr'), file('usr/large', content));
  const cpio = cpioArchive('newc', cpioEntry('newc', { name: 'usr/large' }, content));

  async function unpacks(blob: Buffer): Promise<void> {
    await succeedWithFile(sandbox(), blob);
    assert.equal(sandbox().read('usr/large'), content);
  }

  for (const [kind, plain] of [
    ['tar', tar],
    ['cpio', cpio],
  ] as const) {
    it(`unpacks plain ${kind}`, () => unpacks(plain));
    for (const [name, command, ...options] of compressors) {
      it(`unpacks ${kind} with ${name}`, () => unpacks(outputOf(command, options, plain)));
    }
  }

  for (const [name, command, ...options] of compressors) {
    const compress = (input: Buffer): Buffer => outputOf(command, options, input);

    it(`unpacks ${name} of several streams`, async () => {
      const third = Math.ceil(tar.length / 3);
      const parts = [0, 1, 2].map((i) => compress(tar.subarray(i * third, (i + 1) * third)));
      await unpacks(Buffer.concat([...parts, compress(Buffer.alloc(0))]));
    });

    it(`refuses ${name} that stops in the middle`, async () => {
      const blob = compress(tar);
      for (const size of [20, blob.length >> 1, blob.length - 1])
        await refuseFile(sandbox(), blob.subarray(0, size), /stops in the middle|damaged|no image/);
    });

    it(`refuses ${name} with a flipped bit`, async () => {
      const blob = Buffer.from(compress(tar));
      const middle = blob.length >> 1;
      blob[middle] = (blob[middle] ?? 0) ^ 0x10;
      await refuseFile(sandbox(), blob, /cannot be unpacked: its .* data is damaged/);
    });

    it(`refuses ${name} followed by something else`, async () => {
      await refuseFile(sandbox(), Buffer.concat([compress(tar), Buffer.from('rubbish')]), new RegExp(name));
    });

    it(`refuses ${name} of what is no root file system`, async () => {
      await refuseFile(sandbox(), compress(Buffer.from('hello')), /no image that Stowage knows; it takes/);
    });
  }

  it('unpacks xz made for 64 MiB of memory, and refuses xz that wants more', async () => {
    await unpacks(outputOf('xz', ['-9e', '-c'], tar));
    const greedy = outputOf('xz', ['-c', '--lzma2=preset=0,dict=128MiB'], tar);
    await refuseFile(sandbox(), greedy, /dictionary of more than 64 MiB; compress it again/);
  });

  it('takes zeros between and after streams of xz', async () => {
    const blob = outputOf('xz', ['-c'], tar);
    await unpacks(Buffer.concat([blob, Buffer.alloc(8)]));
    await refuseFile(sandbox(), Buffer.concat([blob, Buffer.alloc(7)]), /xz data/);
  });

  it('refuses a file that is none of these, and says what Stowage takes', async () => {
    const zip = Buffer.from('PK\x03\x04'.padEnd(1000));
    for (const blob of [Buffer.from('short'), Buffer.alloc(0), Buffer.alloc(100_000), zip])
      await refuseFile(sandbox(), blob, /no image that Stowage knows; it takes .*tar.*cpio.*squashfs.*SIF/);
  });

  for (const [name, ...names] of [
    ['a docker archive', 'manifest.json', 'abc/layer.tar'],
    ['an OCI archive', 'blobs/sha256/abc', 'oci-layout', 'index.json'],
  ]) {
    it(`refuses ${name} that is compressed as a whole`, async () => {
      const blob = gzipSync(archive(...names.map((member) => file(member, '{}'))));
      await refuseFile(sandbox(), blob, /image archive.*decompress it first/);
    });
  }

  it('takes a root file system that has a manifest.json of its own', async () => {
    await succeedWithFile(sandbox(), archive(file('manifest.json', '{}'), directory('usr')));
    assert.deepEqual(sandbox().names(), ['manifest.json', 'usr/']);
  });

  it('refuses a file that does not have its digest, whatever else is wrong', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    await refuseFile(sandbox(), tar, /does not have the digest sha256:a+ .* but sha256:/, { digest });
    await refuseFile(sandbox(), gzipSync(tar).subarray(0, 5000), /does not have the digest/, { digest });
  });

  it('refuses a file that is not as long as it was', async () => {
    for (const size of [tar.length - 512, tar.length + 512])
      await refuseFile(sandbox(), tar, /changed while it was read/, { size });
  });

  it('refuses a file that changes while it is read', async () => {
    const name = path.join(sandbox().directory, 'growing');
    // Long enough that it is still being read when it changes; the digest of what was there before holds.
    const blob = gzipSync(Buffer.concat([file('large', Buffer.alloc(200_000_000))]), { level: 1 });
    fs.writeFileSync(name, blob);
    const child = startWithFile(sandbox(), fs.openSync(name, 'r'), fileArguments(blob));
    const ended = outcomeOf(child);
    while (!fs.existsSync(path.join(sandbox().tree, 'large')))
      await new Promise((resolve) => setTimeout(resolve, 1));
    fs.appendFileSync(name, 'more');
    const { status, stderr } = await ended;
    fs.unlinkSync(name);
    assert.match(stderr, /^the file changed while it was read; [^\n]+\n$/);
    assert.equal(status, 1);
  });

  it('reports progress up to the size of the file', async () => {
    const child = startWithFile(sandbox(), sandbox().openFile(tar), fileArguments(tar));
    const { progress } = await outcomeOf(child);
    assert.match(
      progress,
      new RegExp(`^0 0 ${tar.length}\n(0 \\d+ ${tar.length}\n)*0 ${tar.length} ${tar.length}\n$`),
    );
  });

  it('unpacks what GNU tar compresses', async () => {
    const source = path.join(sandbox().directory, 'source');
    fs.mkdirSync(source);
    fs.writeFileSync(path.join(source, 'a'), '1');
    const blobs = ['-z', '-j', '-J', '--zstd'].map((option) =>
      execFileSync('tar', [option, '-C', source, '-cf', '-', '.']),
    );
    fs.rmSync(source, { recursive: true });
    for (const blob of blobs) {
      await succeedWithFile(sandbox(), blob);
      assert.equal(sandbox().read('a'), '1');
    }
  });
});
