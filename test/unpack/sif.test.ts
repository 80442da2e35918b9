import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { dataTypes, fileSystems, partitionTypes, sif, type SifObject } from '../support/sif-writer.js';
import { makeSquashfs } from '../support/squashfs-image.js';
import { refuseFile, succeedWithFile } from './root-file.js';
import { eachInSandbox } from './sandbox.js';

/** The number that SIF gives this machine's architecture, and another's. */
const [native, foreign] = process.arch === 'x64' ? ['02', '04'] : ['04', '02'];

describe('stowage-unpack: SIF', () => {
  const sandbox = eachInSandbox();

  function image(): Buffer {
    const source = path.join(sandbox().directory, 'source');
    fs.mkdirSync(path.join(source, 'usr'), { recursive: true });
    fs.writeFileSync(path.join(source, 'usr/a'), '1');
    const made = makeSquashfs(source, path.join(sandbox().directory, 'image'));
    fs.rmSync(source, { recursive: true });
    return made;
  }

  const partition = (content: Buffer, more: Partial<SifObject> = {}): SifObject => ({
    content,
    architecture: native,
    ...more,
  });
  const definition: SifObject = { content: Buffer.from('Bootstrap: docker\n'), type: dataTypes.definition };
  const signature: SifObject = { content: Buffer.from('signed'), type: dataTypes.signature };

  it('unpacks the squashfs of the primary system partition', async () => {
    const data = partition(Buffer.from('data'), { part: partitionTypes.data, fileSystem: fileSystems.ext3 });
    await succeedWithFile(sandbox(), sif([definition, data, partition(image()), signature]));
    assert.deepEqual(sandbox().names(), ['usr/', 'usr/a']);
    assert.equal(sandbox().read('usr/a'), '1');
  });

  it('takes a partition that names no architecture', async () => {
    await succeedWithFile(sandbox(), sif([partition(image(), { architecture: '00' })]));
  });

  it('keeps the squashfs image itself for mounting', async () => {
    const squashfs = image();
    await succeedWithFile(sandbox(), sif([definition, partition(squashfs)]), { more: ['--keep-squashfs'] });
    assert.deepEqual(sandbox().names(), ['image.squashfs']);
    assert.deepEqual(fs.readFileSync(path.join(sandbox().tree, 'image.squashfs')), squashfs);
  });

  it('refuses a file without a primary system partition', async () => {
    const overlay = partition(image(), { part: partitionTypes.overlay });
    for (const objects of [[definition], [definition, overlay]])
      await refuseFile(sandbox(), sif(objects), /no primary system partition/);
  });

  it('refuses file systems other than squashfs by name', async () => {
    for (const [fileSystem, sentence] of [
      [fileSystems.ext3, /an ext3 file system, but Stowage takes squashfs only; build/],
      [fileSystems.raw, /raw data/],
      [fileSystems.archive, /an archive/],
      [fileSystems.encrypted, /encrypted squashfs.*without --encrypt/],
      [77, /unknown type 77/],
    ] as const)
      await refuseFile(sandbox(), sif([partition(image(), { fileSystem })]), sentence);
  });

  it('refuses a partition that says squashfs and is not', async () => {
    await refuseFile(sandbox(), sif([partition(Buffer.alloc(5000, 7))]), /squashfs image is damaged/);
    const old = image();
    old.writeUInt16LE(3, 28);
    await refuseFile(sandbox(), sif([partition(old)]), /version 3\.0/);
  });

  it('refuses another architecture than this node has', async () => {
    const wrong = sif([partition(image(), { architecture: foreign })]);
    await refuseFile(sandbox(), wrong, /is for (arm64|amd64), but this node is (amd64|arm64); build it/);
    await refuseFile(sandbox(), sif([partition(image(), { architecture: '77' })]), /unknown number '77'/);
  });

  it('refuses OCI-SIF by name', async () => {
    const blob = { content: Buffer.from('{}'), type: dataTypes.ociBlob };
    await refuseFile(sandbox(), sif([blob]), /OCI-SIF/);
  });

  it('refuses two primary system partitions', async () => {
    await refuseFile(
      sandbox(),
      sif([partition(image()), partition(image())]),
      /two primary system partitions/,
    );
  });

  it('refuses descriptors out of range', async () => {
    for (const range of [
      { offset: 1n << 40n },
      { length: 1n << 40n },
      { offset: (1n << 64n) - 1n },
      { length: (1n << 63n) + 5n },
    ])
      await refuseFile(sandbox(), sif([partition(image(), range)]), /object 1 lies outside/);
  });

  it('refuses descriptors that overlap with each other, the table or the header', async () => {
    const overlapping = sif([definition, partition(image(), { offset: 8192n })]);
    await refuseFile(sandbox(), overlapping, /object 2 overlaps/);
    for (const offset of [0n, 100n, 4096n])
      await refuseFile(sandbox(), sif([partition(image(), { offset })]), /object 1 overlaps/);
  });

  it('refuses absurd tables of descriptors', async () => {
    for (const descriptors of [0n, 1n << 40n, (1n << 64n) - 1n])
      await refuseFile(sandbox(), sif([partition(image())], { descriptors }), /has room for \d+ objects/);
    for (const table of [0n, 1n << 40n, (1n << 64n) - 8n])
      await refuseFile(sandbox(), sif([partition(image())], { table }), /table of objects lies outside/);
  });

  it('refuses another version, and a file that stops in the middle', async () => {
    await refuseFile(sandbox(), sif([partition(image())], { version: '02' }), /version '02'/);
    const whole = sif([partition(image())]);
    for (const size of [100, 4200, 9000])
      await refuseFile(sandbox(), whole.subarray(0, size), /damaged|ends in the middle/);
  });
});
