import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { addon } from '../../wrapper/addon/addon.js';
import { readMemory } from '../../wrapper/registry/read-memory.js';
import { GrowingFile } from '../../wrapper/store/growing-file.js';

describe('memory for what is read', () => {
  beforeEach(() => readMemory.clear());

  it('is lent again when it was given back, however small the chunk of it', () => {
    const piece = readMemory.take();
    readMemory.giveBack(piece.subarray(10, 20));
    const again = readMemory.take();
    assert.equal(again.buffer, piece.buffer);
    assert.equal(again.length, piece.length);
  });

  it('is never lent to two at once, though it is given back twice', () => {
    const piece = readMemory.take();
    readMemory.giveBack(piece);
    readMemory.giveBack(piece);
    assert.notEqual(readMemory.take().buffer, readMemory.take().buffer);
  });

  it('is not made of what was never lent', () => {
    const other = Buffer.alloc(100);
    readMemory.giveBack(other);
    assert.notEqual(readMemory.take().buffer, other.buffer);
  });

  it('is given back by a file when it is written', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'memory-'));
    const fd = openSync(join(directory, 'file'), 'w');
    const file = new GrowingFile(fd, new addon.DigestWriter(fd, 'sha256'), () => undefined, Infinity);
    const piece = readMemory.take();
    await file.append(piece.subarray(0, 1000));
    await file.flush();
    closeSync(fd);
    rmSync(directory, { recursive: true });
    assert.equal(readMemory.take().buffer, piece.buffer);
  });
});
