import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { archive, file, header } from '../support/tar-writer.js';
import { digestOf, eachInSandbox, outcomeOf, until, type Layer } from './sandbox.js';

describe('stowage-unpack: layers in flight', () => {
  const sandbox = eachInSandbox();
  const other = digestOf(Buffer.from('other'));
  // More than the unpacker hands over at once, so that its start is in the tree before its end is read.
  const large = archive(file('a', Buffer.alloc(3 << 20, 'a')), file('b', 'b'));
  const busy = Buffer.concat([...Array<Buffer>(20_000).fill(header({ name: 'again' })), Buffer.alloc(1024)]);

  /** Starts on the first `bytes` of the layer's blob; the returned function adds the rest. */
  function startOnPart(layer: Layer, bytes: number) {
    const fd = sandbox().openFile(layer.blob.subarray(0, bytes));
    const child = sandbox().start([{ ...layer, fd }], { growing: true });
    const grow = (upTo = layer.blob.length): void => {
      fs.writeSync(fd, layer.blob, bytes, upTo - bytes, bytes);
      fs.closeSync(fd);
    };
    return { child, grow };
  }

  it('unpacks a layer while it is still growing', async () => {
    const { child, grow } = startOnPart({ blob: large }, 5 << 19);
    const ended = outcomeOf(child);
    await until('its first file', () => fs.existsSync(path.join(sandbox().tree, 'a')) || undefined);
    await sleep(50);
    assert.equal(child.exitCode, null);
    assert.equal(fs.existsSync(path.join(sandbox().tree, 'b')), false);
    grow();
    const { status, stderr } = await ended;
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.deepEqual(sandbox().names(), ['a', 'b']);
  });

  it('waits for all of a growing layer before it blames anything but its digest', async () => {
    const corrupt = Buffer.from(large);
    corrupt.fill(0xff, 0, 400);
    const { child, grow } = startOnPart({ blob: corrupt, digest: digestOf(large) }, 5 << 19);
    const ended = outcomeOf(child);
    await sleep(100);
    assert.equal(child.exitCode, null);
    grow();
    const { status, stderr } = await ended;
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^layer ${digestOf(large)} does not match its digest`));
  });

  it('blames a layer once all of it is there, whatever the one above still lacks', async () => {
    const bad = archive(file('../x', ''), file('a', Buffer.alloc(3 << 20)));
    const fds = [sandbox().openFile(bad.subarray(0, 5 << 19)), sandbox().openFile(large.subarray(0, 1000))];
    const layers = [bad, large].map((blob, index) => ({ blob, fd: fds[index] }) as Layer);
    const child = sandbox().start(layers, { growing: true });
    const ended = outcomeOf(child);
    await sleep(100);
    assert.equal(child.exitCode, null);
    fs.writeSync(fds[0] ?? -1, bad, 5 << 19, bad.length - (5 << 19), 5 << 19);
    const { status, stderr } = await ended;
    for (const fd of fds) fs.closeSync(fd);
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^layer ${digestOf(bad)}: .*climbs out`));
  });

  it('refuses a layer that grows beyond its size', async () => {
    const blob = Buffer.concat([large, Buffer.alloc(1)]);
    const { child, grow } = startOnPart({ blob, size: large.length, digest: digestOf(large) }, 1000);
    grow();
    const { status, stderr } = await outcomeOf(child);
    assert.equal(status, 1);
    assert.match(stderr, /is longer than/);
  });

  it('unpacks layers that are members of one archive', async () => {
    const [lower, upper] = [archive(file('a', 'lower'), file('b', '')), archive(file('a', 'upper'))];
    const zipped = gzipSync(upper);
    const before = Buffer.alloc(700, 'x');
    const fd = sandbox().openFile(Buffer.concat([before, lower, before, zipped, before]));
    const child = sandbox().start([
      { blob: lower, fd, offset: before.length },
      { blob: zipped, tar: upper, fd, offset: 2 * before.length + lower.length },
    ]);
    const { status, stderr } = await outcomeOf(child);
    fs.closeSync(fd);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.deepEqual(sandbox().names(), ['a', 'b']);
    assert.equal(sandbox().read('a'), 'upper');
  });

  it('checks the diff_id alone where the digest is unknown', async () => {
    const tar = archive(file('a', '1'));
    await sandbox().succeed([{ blob: gzipSync(tar), tar, digest: '-' }]);
    assert.deepEqual(sandbox().names(), ['a']);
    await sandbox().refuse(
      [{ blob: gzipSync(tar), digest: '-', diffId: other }],
      new RegExp(`^layer ${other} unpacks to ${digestOf(tar)}`),
    );
    await sandbox().refuse(
      [{ blob: gzipSync(tar).subarray(0, -12), tar, digest: '-' }],
      new RegExp(`^layer ${digestOf(tar)} cannot be unpacked: its gzip data stops`),
    );
  });

  it('finds fault with the lower of two bad layers, however late in it', async () => {
    const late = archive(busy.subarray(0, -1024), file('../x', ''));
    const wrong = archive(file('a', ''));
    const bad = { blob: wrong, digest: other };
    await sandbox().refuse([{ blob: late }, bad], new RegExp(`^layer ${digestOf(late)}: .*climbs out`));
    await sandbox().refuse(
      [{ blob: busy, diffId: other }, bad],
      new RegExp(`^layer ${digestOf(busy)} unpacks to`),
    );
  });

  it('finds an upper layer damaged though it was read while the lower one was written', async () => {
    const zipped = gzipSync(large);
    zipped.fill(0xff, 100, 200);
    const damaged = { blob: zipped, tar: large };
    await sandbox().refuse(
      [busy, damaged, busy],
      new RegExp(`^layer ${digestOf(zipped)} cannot be unpacked: its gzip data is damaged`),
    );
    await sandbox().refuse(
      [busy, { ...damaged, digest: other }, busy],
      new RegExp(`^layer ${other} does not match its digest`),
    );
  });

  it('ends at once on a bad layer below many good ones', async () => {
    const many = Array.from({ length: 20 }, () => large);
    await sandbox().refuse([archive(file('../x', '')), ...many], /climbs out/);
    assert.deepEqual(sandbox().names(), []);
  });

  it('unpacks more layers than it can hold blocks of', async () => {
    const layers = Array.from({ length: 100 }, (_, i) => archive(file('a', String(i)), file(`f${i}`, '')));
    await sandbox().succeed(layers);
    assert.equal(sandbox().read('a'), '99');
    assert.equal(sandbox().names().length, 101);
  });
});
