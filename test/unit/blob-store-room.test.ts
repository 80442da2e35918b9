import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { StoreConfig } from '../../wrapper/config/config.js';
import { StowageError } from '../../wrapper/error.js';
import { BlobStore } from '../../wrapper/store/blob-store.js';
import { Room } from '../../wrapper/store/room.js';
import { blobOf, caller, from, sends, storeConfig } from '../support/test-store.js';

const minuteMs = 60_000;
const contents = ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => Buffer.alloc(100, letter));
const blobs = contents.map((bytes) => blobOf(bytes));
const [a, b, c, d] = blobs as [(typeof blobs)[0], (typeof blobs)[0], (typeof blobs)[0], (typeof blobs)[0]];

describe('BlobStore, and its budgets', () => {
  let directory: string;
  let store: BlobStore;
  const start = async (changes: Partial<StoreConfig>): Promise<void> => {
    store = await BlobStore.open(storeConfig(directory, changes));
  };
  const pathOf = ({ digest }: typeof a): string => join(directory, 'blobs', digest.replace(':', '/'));
  const bring = async (blob: typeof a, minutesAgo = 0): Promise<void> => {
    const bytes = contents[blobs.indexOf(blob)] ?? assert.fail();
    await store.ensure(blob, sends(bytes), caller());
    const at = (Date.now() - minutesAgo * minuteMs) / 1000;
    await utimes(pathOf(blob), at, at);
  };
  const here = async (): Promise<string> => {
    const present = await Promise.all(blobs.map(({ digest }) => store.sizeOf(digest)));
    return present.map((size, i) => (size === undefined ? '' : 'abcdef'.charAt(i))).join('');
  };
  const origins = async (): Promise<number> => (await readdir(join(directory, 'origins/sha256'))).length;

  beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'stowage-room-'))));
  afterEach(async () => {
    await store.close();
    await rm(directory, { recursive: true });
  });

  it('removes what was not used for longest when bytes run out, and no more than it must', async () => {
    await start({ maxBytes: 300 });
    await bring(a, 30);
    await bring(b, 10);
    await bring(c, 20);
    await bring(d);
    assert.equal(await here(), 'bcd');
    assert.equal(await origins(), 3);
    assert.deepEqual([store.usage().bytes, store.usage().blobs], [300, 3]);
  });

  it('does the same when there are too many blobs', async () => {
    await start({ maxBlobs: 2 });
    await bring(a, 30);
    await bring(b, 20);
    await bring(c, 10);
    assert.equal(await here(), 'bc');
  });

  it('counts asking, opening and reading as use', async () => {
    await start({ maxBytes: 400 });
    for (const blob of [a, b, c]) await bring(blob, 60);
    await bring(d, 30);
    await store.ensure(a, sends(contents[0] as Buffer), caller());
    await (await store.open(b)).close();
    await store.read(c.digest, c.scope, 1000);
    await bring(blobs[4] as typeof a);
    assert.equal(await here(), 'abce');
  });

  it('writes down a use at most once a minute', async () => {
    await start({});
    await bring(a, 0.5);
    const { mtimeMs } = await stat(pathOf(a));
    await store.ensure(a, sends(contents[0] as Buffer), caller());
    assert.equal((await stat(pathOf(a))).mtimeMs, mtimeMs);
  });

  it('keeps what is pinned, and says so when nothing else is left', async () => {
    await start({ maxBytes: 200 });
    await bring(a, 30);
    await bring(b, 20);
    const unpin = store.pin([a.digest, b.digest]);
    await assert.rejects(bring(c), (error: StowageError) => {
      assert.equal(error.code, 'store-full');
      assert.match(error.message, /needs 100 bytes, store\.max_bytes allows 200, and 200 are taken/);
      return true;
    });
    assert.equal(await here(), 'ab');
    unpin();
    unpin();
    await bring(c);
    assert.equal(await here(), 'bc');
  });

  it('removes nothing for a blob for which there is no room at all', async () => {
    await start({ maxBytes: 200 });
    await bring(a, 30);
    const large = Buffer.alloc(1000);
    await assert.rejects(store.ensure(blobOf(large), sends(large), caller()), (error: StowageError) => {
      assert.equal(error.code, 'store-full');
      assert.match(
        error.message,
        /can never hold this image: \S+ has 1000 bytes, and store\.max_bytes allows 200 in all/,
      );
      return true;
    });
    assert.equal(await here(), 'a');
  });

  it('keeps room for downloads that have begun', async () => {
    await start({ maxBytes: 250 });
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const slow = from(async function* () {
      await ended;
      yield contents[0] as Buffer;
    });
    const first = store.ensure(a, slow, caller());
    await sleep(20);
    await bring(b);
    const unpin = store.pin([b.digest]);
    await assert.rejects(bring(c), { code: 'store-full' });
    unpin();
    end();
    await first;
    assert.equal(await here(), 'ab');
  });

  it('does not remove a blob while it is read or written', async () => {
    await start({ maxBytes: 100 });
    await bring(a, 30);
    const file = await store.open(a);
    await bring(b);
    assert.equal(await here(), 'b');
    assert.ok((await file.readFile()).equals(contents[0] as Buffer));
    await file.close();
  });

  it('gives a blob of somebody else to another registry without room for two', async () => {
    await start({ maxBytes: 100 });
    await bring(a);
    const source = sends(contents[0] as Buffer);
    await store.ensure({ ...a, scope: 'there/app' }, source, caller());
    assert.equal(source.asked.bytes, 1);
    assert.equal(store.usage().bytes, 100);
  });

  it('leaves the file system what it is told to leave', async () => {
    await start({ minFreeBytes: Number.MAX_SAFE_INTEGER });
    await assert.rejects(
      bring(a),
      /needs 100 bytes, \d+ of its file system are free, store\.min_free_bytes keeps/,
    );
  });

  it('removes what is too old, and what is too much after a change of the limits', async () => {
    await start({ maxAgeMs: 60 * minuteMs });
    await bring(a, 90);
    await bring(b, 30);
    await bring(c, 10);
    store.update(storeConfig(directory, { maxAgeMs: 60 * minuteMs }));
    while ((await here()) !== 'bc') await sleep(5);
    store.update(storeConfig(directory, { maxBlobs: 1 }));
    while ((await here()) !== 'c' || store.usage().evictedBlobs < 2) await sleep(5);
    assert.equal(store.usage().maxBlobs, 1);
    assert.equal(store.usage().evictedBlobs, 2);
  });

  it('counts what is here when it starts', async () => {
    await start({});
    await bring(a);
    await bring(b);
    await store.close();
    await start({ maxBytes: 250 });
    await bring(c);
    assert.deepEqual([store.usage().blobs, store.usage().bytes], [2, 200]);
    assert.ok(store.usage().freeBytes > 0);
  });

  it('removes all that nobody needs any more', async () => {
    await start({});
    for (const blob of [a, b, c, d]) await bring(blob);
    store.pin([b.digest]);
    const keep = new Set([a.digest]);
    assert.deepEqual(await store.removeAllBut(keep, true), { blobs: 2, bytes: 200 });
    assert.equal(await here(), 'abcd');
    assert.deepEqual(await store.removeAllBut(keep, false), { blobs: 2, bytes: 200 });
    assert.equal(await here(), 'ab');
    assert.deepEqual([store.usage().blobs, store.usage().bytes, store.usage().evictedBlobs], [2, 200, 0]);
  });

  for (const code of ['ENOSPC', 'EDQUOT']) {
    const outOfSpace = (times: number) => {
      let asked = 0;
      const source = from(async function* () {
        yield (contents[2] as Buffer).subarray(0, 50);
        if (asked++ < times) throw Object.assign(new Error(`${code}: write`), { code });
        yield (contents[2] as Buffer).subarray(50);
      });
      return { source, asked: () => asked };
    };

    it(`makes room once when the file system has none (${code}), and goes on`, async () => {
      await start({});
      await bring(a, 30);
      await bring(b, 20);
      const unpin = store.pin([b.digest]);
      const { source, asked } = outOfSpace(1);
      await store.ensure(c, source, caller());
      assert.equal(asked(), 2);
      assert.equal(await here(), 'bc');
      unpin();
    });

    it(`says in one sentence that it is full (${code}), and leaves nothing half-made`, async () => {
      await start({});
      await assert.rejects(store.ensure(c, outOfSpace(1).source, caller()), { code: 'store-full' });
      await bring(a);
      await assert.rejects(store.ensure(c, outOfSpace(2).source, caller()), { code: 'store-full' });
      assert.equal(await here(), '');
      assert.equal(await origins(), 0);
    });
  }

  it('keeps no blob of which nobody could be told that he may read it', async function () {
    if (process.getuid?.() === 0) {
      // Root may write everywhere; a file in the way stops it too.
      await start({});
      await rm(join(directory, 'origins/sha256'), { recursive: true });
      await writeFile(join(directory, 'origins/sha256'), '');
      await assert.rejects(bring(a), { code: 'store-failing' });
    } else {
      await start({});
      await chmod(join(directory, 'origins/sha256'), 0o500);
      await assert.rejects(bring(a), { code: 'store-failing' });
      await chmod(join(directory, 'origins/sha256'), 0o700);
    }
    assert.equal((await readdir(join(directory, 'blobs/sha256'))).length, 0);
  });
});

describe('Room', () => {
  it('looks at all blobs only when it knows of no more to remove', async () => {
    let looks = 0;
    const all = Array.from({ length: 20 }, (_, i) => ({ digest: `${i}`, bytes: 10, usedAtMs: i }));
    const present = new Map(all.map((blob) => [blob.digest, blob]));
    const census = {
      get bytes() {
        return present.size * 10;
      },
      get blobs() {
        return present.size;
      },
      take: async (visit: (blob: unknown) => void) => {
        looks++;
        for (const blob of present.values()) visit(blob);
      },
    };
    const room = new Room(
      {
        directory: tmpdir(),
        census: census as never,
        find: async (digest) => present.get(digest),
        isIdle: () => true,
        remove: async ({ digest }) => void present.delete(digest),
      },
      { maxBytes: 200, maxBlobs: 0, maxAgeMs: 0, minFreeBytes: 0 },
    );
    for (let i = 0; i < 10; i++) {
      const reservation = await room.reserve(`new${i}`, 10);
      present.set(`new${i}`, { digest: `new${i}`, bytes: 10, usedAtMs: 100 + i });
      reservation.release();
    }
    assert.equal(looks, 1);
    assert.deepEqual([present.has('9'), present.has('10')], [false, true]);
  });
});
