import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { archive, endOfArchive, file } from '../support/tar-writer.js';
import { eachInSandbox } from './sandbox.js';

function zstd(input: Buffer, ...options: string[]): Buffer {
  return execFileSync('zstd', ['-q', '-c', ...options], { input, maxBuffer: 1 << 28 });
}

/** Bytes that compress a little, so that compressed blocks cross the reader's chunks. */
function prose(size: number): Buffer {
  const words = Array.from({ length: 4096 }, (_, i) => ((i * 2654435761) % 4294967296).toString(36));
  let seed = 1;
  let text = '';
  while (text.length < size) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    text += `${words[seed % words.length] ?? ''} `;
  }
  return Buffer.from(text.slice(0, size));
}

function split(tar: Buffer, parts: number): Buffer[] {
  const size = Math.ceil(tar.length / parts);
  return Array.from({ length: parts }, (_, i) => tar.subarray(i * size, (i + 1) * size));
}

describe('stowage-unpack: compression', () => {
  const sandbox = eachInSandbox();
  const content = prose(3_000_000);
  const tar = archive(file('small', '1'), file('large', content));

  async function unpacks(blob: Buffer): Promise<void> {
    await sandbox().succeed([{ blob, tar }]);
    assert.equal(sandbox().read('large'), content.toString());
  }

  it('unpacks plain tar', () => unpacks(tar));
  it('unpacks gzip', () => unpacks(gzipSync(tar)));
  it('unpacks gzip made by gzip, with a file name in its header', () =>
    unpacks(execFileSync('gzip', ['-9c'], { input: tar, maxBuffer: 1 << 24 })));
  it('unpacks gzip of several members', () =>
    unpacks(Buffer.concat(split(tar, 7).map((part) => gzipSync(part)))));
  it('unpacks gzip of thousands of members, as eStargz has', () =>
    unpacks(Buffer.concat(split(tar, 3000).map((part) => gzipSync(part)))));
  it('unpacks eStargz with its index, landmark and footer as it is', async () => {
    const footer = Buffer.concat([
      Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0, 0x53, 0x47, 22, 0]),
      Buffer.from('0000000000000400STARGZ'),
      Buffer.from([1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]),
    ]);
    assert.equal(footer.length, 51);
    const entries = [
      file('large', content),
      file('.no.prefetch.landmark', '\x0f'),
      file('stargz.index.json', JSON.stringify({ version: 1, entries: [{ name: 'large', type: 'reg' }] })),
      endOfArchive,
    ];
    await sandbox().succeed([
      {
        blob: Buffer.concat([...entries.map((entry) => gzipSync(entry)), footer]),
        tar: Buffer.concat(entries),
      },
    ]);
    assert.deepEqual(sandbox().names(), ['.no.prefetch.landmark', 'large', 'stargz.index.json']);
    assert.equal(sandbox().read('large'), content.toString());
  });
  it('unpacks gzip with empty members between', () =>
    unpacks(
      Buffer.concat([gzipSync(''), ...split(tar, 2).flatMap((part) => [gzipSync(part), gzipSync('')])]),
    ));
  it('unpacks gzip with zeros after it', () => unpacks(Buffer.concat([gzipSync(tar), Buffer.alloc(1000)])));
  it('unpacks stored (level 0) gzip', () => unpacks(gzipSync(tar, { level: 0 })));
  it('unpacks zstd', () => unpacks(zstd(tar)));
  it('unpacks zstd with a checksum, at a high level', () => unpacks(zstd(tar, '-19', '--check')));
  it('unpacks zstd of several frames', () => unpacks(Buffer.concat(split(tar, 5).map((part) => zstd(part)))));

  const skippable = Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from('table')]);
  it('unpacks zstd with skippable frames, as zstd:chunked has', () =>
    unpacks(Buffer.concat([skippable, ...split(tar, 2).map((part) => zstd(part)), skippable])));
  it('unpacks a zstd window of 128 MiB', () => unpacks(zstd(tar, '--long=27')));

  it('refuses a zstd window over 128 MiB', async () => {
    // A frame header by hand: magic, no single segment, window descriptor for 2^31, one empty last block.
    const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 0x01, 0x00, 0x00]);
    await sandbox().refuse([{ blob: frame, tar: Buffer.alloc(0) }], /window of more than 128 MiB/);
  });

  for (const [name, pack] of [
    ['gzip', gzipSync],
    ['zstd', zstd],
  ] as const) {
    it(`refuses ${name} that stops in the middle`, async () => {
      const blob = pack(tar);
      for (const size of [12, blob.length >> 1, blob.length - 1])
        await sandbox().refuse([{ blob: blob.subarray(0, size), tar }], /middle|damaged/);
    });

    it(`refuses ${name} with a flipped bit`, async () => {
      const blob = Buffer.from(pack(tar));
      const middle = blob.length >> 1;
      blob[middle] = (blob[middle] ?? 0) ^ 0x10;
      await sandbox().refuse([{ blob, tar }], /damaged|unpacks to/);
    });

    it(`refuses ${name} followed by something else`, async () => {
      await sandbox().refuse(
        [{ blob: Buffer.concat([pack(tar), Buffer.from('rubbish')]), tar }],
        /gzip|zstd/,
      );
    });
  }

  it('refuses a gzip checksum that does not fit', async () => {
    const blob = Buffer.from(gzipSync(tar));
    blob[blob.length - 6] = (blob[blob.length - 6] ?? 0) ^ 1;
    await sandbox().refuse([{ blob, tar }], /gzip data is damaged/);
  });

  it('refuses bzip2 and xz by name', async () => {
    await sandbox().refuse([{ blob: Buffer.from('BZh91AY&SY'), tar }], /bzip2 or xz/);
    await sandbox().refuse([{ blob: Buffer.from('\xfd7zXZ\0\0', 'latin1'), tar }], /bzip2 or xz/);
  });
});
