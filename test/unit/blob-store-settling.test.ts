import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { BlobStore } from '../../wrapper/store/blob-store.js';
import { Settling } from '../../wrapper/store/settling.js';
import { blobOf, caller, never, sends, storeConfig } from '../support/test-store.js';

const bytes = Buffer.from('the bytes of a layer');
const blob = blobOf(bytes);
const other = blobOf(Buffer.from('the bytes of another layer'));

describe('a blob that is not on the disk yet', () => {
  let directory: string;
  let store: BlobStore;
  const path = ({ digest }: { digest: string }): string => join(directory, 'blobs', ...digest.split(':'));
  const reopen = async (use?: 'alone' | 'shared'): Promise<void> => {
    await store.close();
    store = await BlobStore.open(storeConfig(directory), use);
  };
  /** As after a loss of power: the name is there, and not all of the bytes. */
  const unsettle = async (which: { digest: string }): Promise<void> => {
    await chmod(path(which), 0o600);
    await writeFile(path(which), 'something else');
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-settling-'));
    store = await BlobStore.open(storeConfig(directory));
    await store.ensure(blob, sends(bytes), caller());
  });
  afterEach(async () => {
    await store.close();
    await rm(directory, { recursive: true });
  });

  it('is settled when the store is closed, and nobody writes to it any more', async () => {
    await store.close();
    assert.equal((await stat(path(blob))).mode & 0o777, 0o400);
    store = await BlobStore.open(storeConfig(directory));
  });

  it('is gone after another start of the machine, and downloaded again', async () => {
    await reopen();
    await unsettle(blob);
    await writeFile(join(directory, 'boot'), 'the one before');
    await reopen();
    assert.equal(await store.sizeOf(blob.digest), undefined);
    assert.equal(await store.isReadable(blob.digest, blob.scope), false);
    const source = sends(bytes);
    assert.equal(await store.ensure(blob, source, caller()), bytes.length);
    assert.equal(source.asked.bytes, 1);
    assert.deepEqual(await readFile(path(blob)), bytes);
  });

  it('stays if the machine did not stop, whatever became of the daemon', async () => {
    await reopen();
    await chmod(path(blob), 0o600);
    await reopen();
    assert.equal(await store.ensure(blob, never, caller()), 0);
  });

  it('does not keep the space of one that is removed before', async () => {
    const held = (): string[] =>
      readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`).startsWith(join(directory, 'blobs'));
        } catch {
          // The directory itself, which was open only to be read.
          return false;
        }
      });
    assert.equal((await stat(path(blob))).mode & 0o777, 0o600);
    assert.deepEqual(held(), []);
    await store.removeAllBut(new Set(), false);
    await reopen();
    assert.equal(await store.sizeOf(blob.digest), undefined);
  });

  it('does not take settled ones along', async () => {
    await store.ensure(other, sends(Buffer.from('the bytes of another layer')), caller());
    await reopen();
    await unsettle(other);
    await writeFile(join(directory, 'boot'), 'the one before');
    await reopen();
    assert.equal(await store.ensure(blob, never, caller()), 0);
    assert.equal(await store.sizeOf(other.digest), undefined);
  });

  it('is not known in a store of several processes, which may be on several nodes', async () => {
    await reopen('shared');
    await store.ensure(other, sends(Buffer.from('the bytes of another layer')), caller());
    assert.equal((await stat(path(other))).mode & 0o777, 0o400);
    await writeFile(join(directory, 'boot'), 'that of another node');
    await chmod(path(blob), 0o600);
    await reopen('shared');
    assert.equal(await store.ensure(blob, never, caller()), 0);
  });
});

describe('Settling', () => {
  it('does one thing at a time, in order, and goes on after one that failed', async () => {
    const settling = new Settling();
    const seen: string[] = [];
    for (const name of ['a', 'b', 'c']) {
      await settling.add(async () => {
        seen.push(`${name} begins`);
        await new Promise((resolve) => setTimeout(resolve, 5));
        seen.push(`${name} ends`);
        if (name === 'b') throw new Error('the disk is gone');
      });
    }
    assert.ok(seen.length < 6);
    await settling.end();
    assert.deepEqual(
      seen,
      ['a', 'b', 'c'].flatMap((name) => [`${name} begins`, `${name} ends`]),
    );
  });

  it('begins a while after it came', async () => {
    const settling = new Settling();
    let began = false;
    await settling.add(async () => void (began = true));
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(began, false);
    await settling.end();
    assert.equal(began, true);
  });

  it('lets only so many wait, and does not rest then', async () => {
    const settling = new Settling();
    let release!: () => void;
    const first = new Promise<void>((begins) => {
      void settling.add(() => {
        begins();
        return new Promise((resolve) => (release = resolve));
      });
    });
    let added = 0;
    const all = (async () => {
      for (let i = 0; i < 300; i++, added++) await settling.add(() => Promise.resolve());
    })();
    await first;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(added > 100 && added < 200, `${added}`);
    release();
    await all;
    await settling.end();
  });
});
