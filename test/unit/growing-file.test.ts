import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { addon } from '../../wrapper/addon/addon.js';
import { GrowingFile } from '../../wrapper/store/growing-file.js';

describe('a file that grows', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'growing-'));
    path = join(directory, 'file');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('holds all that was appended, in order, and so does the digest', async () => {
    const bytes = randomBytes(40 * 1024 * 1024 + 7);
    const fd = openSync(path, 'w');
    const writer = new addon.DigestWriter(fd, 'sha512');
    const progress: number[] = [];
    const file = new GrowingFile(fd, writer, (writtenBytes) => progress.push(writtenBytes), 1000);
    for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 7) % 100_003)
      await file.append(bytes.subarray(at, at + step));
    await file.flush();
    await file.settle();
    closeSync(fd);
    assert.ok(readFileSync(path).equals(bytes));
    assert.equal(writer.end(), createHash('sha512').update(bytes).digest('hex'));
    assert.deepEqual(
      progress,
      [...progress].sort((a, b) => a - b),
    );
    assert.equal(progress.at(-1), bytes.length);
  });

  it('tells of a write that failed, now or with the next bytes', async () => {
    const fd = openSync('/dev/full', 'w');
    const file = new GrowingFile(fd, new addon.DigestWriter(fd, 'sha256'), () => undefined, Infinity);
    await file.append(Buffer.from('x'));
    await assert.rejects(file.flush(), { code: 'ENOSPC' });
    await assert.rejects(file.append(Buffer.from('y')), { code: 'ENOSPC' });
    await file.settle();
    closeSync(fd);
  });
});

describe('DigestWriter', () => {
  it('refuses what it does not know, and to be asked while it works', async () => {
    const fd = openSync('/dev/null', 'w');
    assert.throws(() => new addon.DigestWriter(fd, 'md5' as 'sha256'), /sha256 or sha512/);
    const writer = new addon.DigestWriter(fd, 'sha256');
    assert.throws(() => writer.append(['text'] as unknown as Uint8Array[]), /array of Uint8Array/);
    const append = writer.append([Buffer.from('a'), Buffer.from('bc')]);
    assert.throws(() => writer.end(), /under way/);
    await append;
    assert.equal(writer.end(), createHash('sha256').update('abc').digest('hex'));
    assert.throws(() => writer.end(), /has ended/);
    closeSync(fd);
  });
});
