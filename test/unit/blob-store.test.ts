import assert from 'node:assert/strict';
import { pbkdf2 } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { type FileHandle, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { StowageError } from '../../wrapper/error.js';
import { type BlobSource, BlobStore, type DownloadEvent } from '../../wrapper/store/blob-store.js';
import { downloadLayers, type LayerProgress } from '../../wrapper/store/download-layers.js';
import { storeError } from '../../wrapper/store/error.js';
import { sha256 } from '../support/fault-registry.js';
import { blobOf, caller, from, never, storeConfig } from '../support/test-store.js';

const bytes = Buffer.from('the bytes of a layer');
const scope = 'here/team/app';
const blob = blobOf(bytes, scope);
type Bytes = BlobSource['bytes'];

describe('BlobStore', () => {
  let directory: string;
  let store: BlobStore;
  const sends = (content: Uint8Array): BlobSource =>
    from(async function* () {
      yield content;
    });
  const files = async (): Promise<string[]> =>
    (await readdir(directory, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile() && entry.parentPath.includes('/blobs'))
      .map(({ name }) => name);

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-store-'));
    store = await BlobStore.open(storeConfig(directory));
  });
  afterEach(async () => {
    await store.close();
    await rm(directory, { recursive: true });
  });

  it('keeps a blob and does not fetch it again', async () => {
    assert.equal(await store.ensure(blob, sends(bytes), caller()), bytes.length);
    assert.equal(await store.ensure(blob, never, caller()), 0);
    assert.ok((await store.read(blob.digest, scope, 1000))?.equals(bytes));
  });

  it('does not read more into memory than it is told to', async () => {
    await store.put(blob.digest, scope, bytes);
    assert.equal(await store.read(blob.digest, scope, bytes.length - 1), undefined);
  });

  it('keeps sha512 apart from sha256', async () => {
    const digest = `sha512:${'0'.repeat(128)}`;
    await assert.rejects(
      store.ensure({ ...blob, digest }, sends(bytes), caller()),
      /have the digest sha512:/,
    );
  });

  for (const [what, content, reason] of [
    [
      'other bytes of the same size',
      Buffer.from('THE BYTES OF A LAYER'),
      /its bytes have the digest sha256:/,
    ],
    ['too few bytes', bytes.subarray(1), /it has 19 bytes, not 20/],
    ['too many bytes', Buffer.concat([bytes, bytes]), /longer than the 20 bytes/],
  ] as const) {
    it(`refuses ${what} and keeps nothing`, async () => {
      await assert.rejects(store.ensure(blob, sends(content), caller()), (error: StowageError) => {
        assert.equal(error.code, 'content-mismatch');
        assert.match(error.message, reason);
        return true;
      });
      assert.deepEqual(await files(), []);
    });
  }

  it('asks once more when wrong bytes came from where there is a choice, and says so', async () => {
    const contents = [Buffer.from('THE BYTES OF A LAYER'), bytes];
    const source = from(async function* () {
      yield contents.shift() ?? assert.fail('asked again');
    });
    const heard: DownloadEvent[] = [];
    await store.ensure(blob, { ...source, distrust: () => contents.length > 0 }, caller(undefined, heard));
    assert.ok((await store.read(blob.digest, scope, 100))?.equals(bytes));
    const said = heard.flatMap((event) => ('waiting' in event ? [event.waiting] : []));
    assert.match(said.join(), /^a mirror sent wrong bytes for sha256:/);
  });

  it('refuses a size that a blob in the store contradicts', async () => {
    await store.put(blob.digest, scope, bytes);
    await assert.rejects(store.ensure({ ...blob, size: 7 }, sends(bytes), caller()), /promises 7 bytes/);
  });

  it('downloads once however many ask, and tells all of them how far it is', async () => {
    let downloads = 0;
    const fetch: Bytes = async function* () {
      downloads++;
      yield bytes.subarray(0, 5);
      await sleep(20);
      yield bytes.subarray(5);
    };
    const seen: DownloadEvent[][] = Array.from({ length: 20 }, () => []);
    await Promise.all(seen.map((events) => store.ensure(blob, from(fetch), caller(undefined, events))));
    assert.equal(downloads, 1);
    for (const events of seen) assert.deepEqual(events.at(-1), { doneBytes: bytes.length });
  });

  it('does not make one registry wait for another', async () => {
    const slow = new AbortController();
    const stuck = store.ensure({ ...blob, scope: 'slow/team/app' }, hangs(), caller(slow.signal));
    await store.ensure(blob, sends(bytes), caller());
    slow.abort(new Error('done'));
    await assert.rejects(stuck, /done/);
  });

  it('goes on when one of two callers leaves', async () => {
    const leaving = new AbortController();
    const fetch: Bytes = async function* (signal) {
      await sleep(30, undefined, { signal });
      yield bytes;
    };
    const first = store.ensure(blob, from(fetch), caller(leaving.signal));
    const second = store.ensure(blob, from(fetch), caller());
    await sleep(10);
    leaving.abort(new Error('left'));
    await assert.rejects(first, /left/);
    await second;
    assert.deepEqual(await files(), [blob.digest.slice('sha256:'.length)]);
  });

  it('stops the download when the last caller leaves, and keeps nothing', async () => {
    let aborted = false;
    const controllers = [new AbortController(), new AbortController()];
    const waiting = controllers.map(({ signal }) =>
      store.ensure(
        blob,
        hangs(() => (aborted = true)),
        caller(signal),
      ),
    );
    await sleep(10);
    for (const controller of controllers) controller.abort(new Error('left'));
    for (const outcome of await Promise.allSettled(waiting)) assert.equal(outcome.status, 'rejected');
    await sleep(10);
    assert.equal(aborted, true);
    assert.deepEqual(await files(), []);
    // A caller who comes after that starts anew.
    await store.ensure(blob, sends(bytes), caller());
  });

  it('lets only one process use a directory', async () => {
    await assert.rejects(BlobStore.open(storeConfig(directory)), (error: StowageError) => {
      assert.equal(error.code, 'start-refused');
      assert.match(error.message, /in use by another stowaged/);
      return true;
    });
  });

  it('removes what is no blob after it was opened', async () => {
    await store.put(blob.digest, scope, bytes);
    await store.close();
    await writeFile(join(directory, 'blobs/sha256/half-made'), 'x');
    await mkdir(join(directory, 'blobs/sha256', 'f'.repeat(64)));
    store = await BlobStore.open(storeConfig(directory));
    while ((await readdir(join(directory, 'blobs/sha256'))).length > 1) await sleep(5);
    assert.equal(await store.sizeOf(blob.digest), bytes.length);
  });

  it('says in words that the disk is full', () => {
    const error = storeError('/var/lib/stowage', Object.assign(new Error('write'), { code: 'ENOSPC' }));
    assert.equal(error.code, 'store-full');
    assert.match(error.message, /\/var\/lib\/stowage of this node has no space left/);
  });

  describe('a blob that is expected', () => {
    /** Yields the parts one by one, each when the test says so. */
    const inParts = (parts: Uint8Array[]) => {
      const steps: (() => void)[] = [];
      const fetch: Bytes = async function* (signal) {
        for (const part of parts) {
          await new Promise<void>((resolve, reject) => {
            steps.push(resolve);
            signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
          });
          yield part;
        }
      };
      const step = async (): Promise<void> => {
        while (steps.length === 0) await sleep(1);
        steps.shift()?.();
      };
      return { fetch, step };
    };
    const expect = async (request = blob): Promise<() => Promise<void>> =>
      (await store.expect([request])) ?? assert.fail('not expected');
    const halves = [bytes.subarray(0, 5), bytes.subarray(5)];
    const wrong = Buffer.alloc(bytes.length, 'x');

    it('can be read while it grows, and never written', async () => {
      const forget = await expect();
      const file = await store.openGrowing(blob);
      assert.equal((await file.stat()).size, 0);
      assert.match(await readFile(`/proc/self/fdinfo/${file.fd}`, 'utf8'), /^flags:\t\d*0$/m);
      await assert.rejects(file.write('x'), { code: 'EBADF' });
      const { fetch, step } = inParts(halves);
      const events: DownloadEvent[] = [];
      const done = store.ensure(blob, from(fetch), caller(undefined, events));
      await step();
      while (events.length === 0) await sleep(1);
      assert.ok((await readAll(file)).equals(halves[0] as Buffer));
      assert.deepEqual(await files(), []);
      await step();
      await done;
      assert.ok((await readAll(file)).equals(bytes));
      await file.close();
      await forget();
      assert.deepEqual(await files(), [blob.digest.slice('sha256:'.length)]);
    });

    it('is no other file when it is given up while somebody opens it', async () => {
      const forget = await expect();
      const done = store.ensure(blob, sends(bytes), caller());
      await done;
      // What opens files waits until these are done.
      const busy = Array.from({ length: 8 }, () => promisify(pbkdf2)('', '', 100_000, 32, 'sha256'));
      const opening = store.openGrowing(blob);
      const forgetting = forget();
      const others = Array.from({ length: 32 }, () => openSync('/dev/null', 'r'));
      const file = await opening;
      assert.ok((await readAll(file)).equals(bytes));
      await Promise.all([file.close(), forgetting, ...busy]);
      others.forEach((fd) => closeSync(fd));
    });

    it('is the same file when the download begins anew, and is never cut', async () => {
      const forget = await expect();
      const file = await store.openGrowing(blob);
      await assert.rejects(store.ensure(blob, sends(wrong), caller()), /wrong bytes/);
      assert.ok((await readAll(file)).equals(wrong));
      const { fetch, step } = inParts(halves);
      const done = store.ensure(blob, from(fetch), caller());
      await step();
      await step();
      assert.equal((await file.stat()).size, bytes.length);
      await done;
      assert.ok((await readAll(file)).equals(bytes));
      await file.close();
      await forget();
    });

    it('is not spoiled by a download that was given up and comes to its end late', async () => {
      const forget = await expect();
      const leaving = new AbortController();
      let finish = (): void => undefined;
      const stubborn: Bytes = async function* () {
        await new Promise<void>((resolve) => (finish = resolve));
        yield wrong;
      };
      const abandoned = store.ensure(blob, from(stubborn), caller(leaving.signal));
      await sleep(10);
      leaving.abort(new Error('left'));
      await assert.rejects(abandoned, /left/);
      const next = store.ensure(blob, sends(bytes), caller());
      await sleep(10);
      finish();
      await next;
      assert.ok((await store.read(blob.digest, scope, 1000))?.equals(bytes));
      await forget();
    });

    it('is not written any more once a download that was given up has completed it', async () => {
      const forget = await expect();
      const leaving = new AbortController();
      let finish = (): void => undefined;
      const stubborn: Bytes = async function* () {
        await new Promise<void>((resolve) => (finish = resolve));
        yield bytes;
      };
      const abandoned = store.ensure(blob, from(stubborn), caller(leaving.signal));
      await sleep(10);
      leaving.abort(new Error('left'));
      await assert.rejects(abandoned, /left/);
      const next = store.ensure(blob, sends(wrong), caller());
      await sleep(10);
      finish();
      await next;
      assert.ok((await store.read(blob.digest, scope, 1000))?.equals(bytes));
      await forget();
    });

    it('grows also when it came into the store through another repository meanwhile', async () => {
      const forget = await expect();
      const file = await store.openGrowing(blob);
      await store.ensure({ ...blob, scope: 'here/other/app' }, sends(bytes), caller());
      assert.equal((await file.stat()).size, 0);
      assert.equal(
        await store.ensure(blob, { ...never, probe: async () => undefined }, caller()),
        bytes.length,
      );
      assert.ok((await readAll(file)).equals(bytes));
      await file.close();
      await forget();
    });

    it('is not shown to callers of another scope', async () => {
      const forget = await expect();
      await assert.rejects(store.openGrowing({ ...blob, scope: 'there/team/app' }), {
        code: 'store-failing',
      });
      await forget();
      await assert.rejects(store.openGrowing(blob), { code: 'store-failing' });
    });

    it('needs no file when it is here, or is not what it should be', async () => {
      await store.put(blob.digest, scope, bytes);
      assert.equal(await store.expect([blob]), undefined);
      const other = { ...blob, digest: `sha256:${'f'.repeat(64)}` };
      assert.equal(await store.expect([{ ...blob, size: 1 }, other]), undefined);
      const forget = await expect(other);
      const file = await store.openGrowing(blob);
      assert.ok((await readAll(file)).equals(bytes));
      await file.close();
      await forget();
    });

    it('gets no file when there are a thousand others', async () => {
      const many = (from: number) =>
        Array.from({ length: 1024 }, (_, i) => ({
          ...blob,
          digest: `sha256:${String(from + i).padStart(64, '0')}`,
        }));
      const forget = await store.expect(many(0));
      assert.ok(forget);
      assert.equal(await store.expect([blob]), undefined);
      await forget();
      await (
        await expect()
      )();
    });
  });

  describe('downloadLayers', () => {
    const layers = Array.from({ length: 9 }, (_, i) => {
      const content = Buffer.alloc(10 + i, i);
      return { mediaType: 'x', digest: sha256(content), size: content.length, content };
    });
    const run = (
      source: (content: Buffer) => BlobSource,
      onProgress: (progress: LayerProgress) => void = () => undefined,
      signal = new AbortController().signal,
    ) =>
      downloadLayers(store, [...layers, ...layers], {
        parallel: 4,
        scope,
        source: (layer) => source((layer as (typeof layers)[number]).content),
        onProgress,
        signal,
      });

    it('runs four at a time, each layer once, and counts bytes', async () => {
      let running = 0;
      let most = 0;
      let last: LayerProgress | undefined;
      const fetched = await run(
        (content) =>
          from(async function* () {
            most = Math.max(most, ++running);
            await sleep(5);
            yield content;
            running--;
          }),
        (progress) => (last = progress),
      );
      const total = layers.reduce((sum, { size }) => sum + size, 0);
      assert.deepEqual(
        [most, fetched, last?.imageDoneBytes, last?.imageTotalBytes],
        [4, total, total, total],
      );
    });

    it('stops the others at the first failure, whose reason is the one told', async () => {
      const broken = layers[1]?.content;
      let aborted = 0;
      await assert.rejects(
        run((content) => (content === broken ? failing() : hangs(() => aborted++))),
        /broken layer/,
      );
      await sleep(10);
      assert.equal(aborted, 3);
    });
  });
});

/** From the first byte to what is the last one now. */
async function readAll(file: FileHandle): Promise<Buffer> {
  const { size } = await file.stat();
  const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, 0);
  return buffer.subarray(0, bytesRead);
}

/** A download that never ends by itself. */
function hangs(onAbort: () => void = () => undefined): BlobSource {
  return from(async function* (signal) {
    await new Promise((_, reject) =>
      signal.addEventListener('abort', () => {
        onAbort();
        reject(signal.reason as Error);
      }),
    );
    yield Buffer.alloc(0);
  });
}

function failing(): BlobSource {
  return from(async function* () {
    // Until the others have begun.
    await sleep(50);
    yield Buffer.alloc(0);
    throw new Error('broken layer');
  });
}
