import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { parseReference } from '../../wrapper/image/reference.js';
import { RegistryClient } from '../../wrapper/registry/client.js';
import { Transfers } from '../../wrapper/registry/transfers.js';
import { FaultRegistry, sha256 } from '../support/fault-registry.js';
import { isCode } from '../support/is-code.js';
import { transferLimits } from '../support/registry-session.js';

const partBytes = 64 * 1024;
const limits = { ...transferLimits, rangeBytes: partBytes };
const [ann, bob] = [1000, 1001];

const until = async (what: string, condition: () => boolean): Promise<void> => {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) assert.fail(`it never came to this: ${what}`);
    await sleep(5);
  }
};

describe('Transfers', () => {
  let registry: FaultRegistry;
  let client: RegistryClient;
  let transfers: Transfers;
  let gone: AbortController;
  let waits: string[];
  const large = randomBytes(10 * partBytes + 1234);
  const small = randomBytes(1000);

  const descriptorOf = (bytes: Buffer, size = bytes.length) => ({
    mediaType: 'application/octet-stream',
    digest: sha256(bytes),
    size,
  });
  const chunksOf = (bytes: Buffer, uid = ann, size = bytes.length, signal = gone.signal) =>
    transfers.bytes(
      client.session(),
      uid,
      parseReference(`${registry.host}/team/app:1`),
      descriptorOf(bytes, size),
      { signal, onWait: (sentence) => void waits.push(sentence) },
    );
  const read = async (bytes: Buffer, uid?: number, size?: number): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of chunksOf(bytes, uid, size)) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  const probe = (bytes: Buffer, size?: number) =>
    transfers.probe(
      client.session(),
      ann,
      parseReference(`${registry.host}/team/app:1`),
      descriptorOf(bytes, size),
      { signal: gone.signal, onWait: (sentence) => void waits.push(sentence) },
    );
  /** What was asked for, in order: "bytes=0-65535", or "" for the whole. */
  const ranges = () => registry.requests.map(({ headers }) => headers.range ?? '');
  const begin = (change: Partial<typeof limits> = {}, bytesPerSecond = 0) => {
    transfers = new Transfers({ ...limits, ...change }, () => bytesPerSecond);
  };
  /** As slow as a registry far away is over one connection. */
  const slowDown = (bytesPerSecond = 1e6) =>
    registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond }, Infinity);
  /** Fails if a turn or the memory of a part was not given back. */
  const assertNothingTaken = async () => {
    gone = new AbortController();
    await until('no answer under way', () => registry.atOnce === 0);
    registry.forgive();
    for (const uid of [ann, bob]) assert.deepEqual(await read(small, uid), small);
    slowDown();
    assert.deepEqual(await read(large), large);
    assert.equal(registry.mostAtOnce, limits.connectionsPerUser, 'parts at once, as before');
  };

  beforeEach(async () => {
    registry = await FaultRegistry.start();
    registry.addImage('team/app', '1', { layers: [large, small] });
    client = new RegistryClient({ limits, registries: { [registry.host]: { http: true } } });
    gone = new AbortController();
    waits = [];
    begin();
  });
  afterEach(async () => {
    gone.abort();
    client.close();
    await registry.stop();
  });

  describe('in parts', () => {
    it('asks for a small blob as a whole', async () => {
      assert.deepEqual(await read(small), small);
      assert.deepEqual(ranges(), ['']);
    });

    it('brings a blob without bytes', async () => {
      const nothing = Buffer.alloc(0);
      registry.addBlob('team/app', nothing);
      assert.deepEqual(await read(nothing), nothing);
    });

    it('asks a registry that is fast over one connection for few parts, one after the other', async () => {
      // On a machine that is busy just then even this registry may seem slow.
      const isFewParts = async (): Promise<boolean> => {
        await until('no answer under way', () => registry.atOnce === 0);
        registry.forgive();
        assert.deepEqual(await read(large), large);
        assert.equal(ranges()[0], `bytes=0-${partBytes - 1}`);
        return registry.mostAtOnce === 1 && registry.requests.length <= 3;
      };
      let attempts = 20;
      while (!(await isFewParts())) assert.ok(--attempts > 0, ranges().join(' '));
    });

    it('fetches several parts at once from a registry that is slow over one connection, in order', async () => {
      slowDown();
      assert.deepEqual(await read(large), large);
      assert.equal(registry.mostAtOnce, limits.connectionsPerUser);
      assert.equal(new Set(ranges()).size, 11, 'each part once');
    });

    it('fetches no more ahead than may be in memory while the reader does not read', async () => {
      slowDown();
      const chunks = chunksOf(large);
      const first = await chunks.next();
      for (let done = (first.value as Buffer).length; done <= partBytes;)
        done += ((await chunks.next()).value as Buffer).length;
      await sleep(100);
      assert.ok(registry.requests.length <= 2 + limits.connectionsPerUser, ranges().join(' '));
      await chunks.return(undefined);
      await assertNothingTaken();
    });

    it('resumes a part that breaks off, by Range', async () => {
      registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 1e6 });
      registry.inject(/blobs/, { kind: 'truncate', bytes: 1000 }, 2);
      slowDown();
      assert.deepEqual(await read(large), large);
      for (const part of [1, 2])
        assert.ok(
          ranges().includes(`bytes=${part * partBytes + 1000}-${(part + 1) * partBytes - 1}`),
          ranges().join(' '),
        );
    });

    it('reads on where a registry ignores Range from the beginning', async () => {
      registry.inject(/blobs/, { kind: 'ignore-range' }, Infinity);
      assert.deepEqual(await read(large), large);
      assert.equal(registry.requests.length, 1);
    });

    it('skips what it has where a registry ignores Range from the middle on', async () => {
      registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 1e6 });
      registry.inject(/blobs/, { kind: 'ignore-range' }, Infinity);
      assert.deepEqual(await read(large), large);
      await assertNothingTaken();
    });

    it('refuses another part than it asked for', async () => {
      registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 1e6 });
      registry.inject(/blobs/, { kind: 'wrong-range' }, Infinity);
      await assert.rejects(read(large), isCode('registry-misbehaving', /another part/));
    });

    it('refuses a blob of another size than the manifest promises', async () => {
      await assert.rejects(
        read(large, ann, large.length + 1),
        isCode('content-mismatch', new RegExp(`has ${large.length} bytes .* promises ${large.length + 1}`)),
      );
    });

    it('stops a body that is longer than promised at one byte more', async () => {
      registry.inject(/blobs/, { kind: 'replace', body: Buffer.alloc(100_000), isChunked: true });
      assert.equal((await read(small)).length, small.length + 1);
    });

    for (const length of [small.length - 1, small.length + 1]) {
      it(`refuses at once a body that is said to have ${length} bytes, not ${small.length}`, async () => {
        registry.inject(/blobs/, { kind: 'replace', body: Buffer.alloc(length) }, Infinity);
        await assert.rejects(
          read(small),
          isCode('content-mismatch', new RegExp(`has ${length} bytes .* promises ${small.length}`)),
        );
        assert.equal(registry.count(/blobs/), 1);
      });
    }
  });

  describe('between users', () => {
    it("does not let a large image of one user stall another user's small one", async () => {
      begin({ connections: 2, connectionsPerUser: 2 });
      slowDown(500_000);
      const done: string[] = [];
      const first = read(large, ann).then(() => done.push('large'));
      const second = read(large, ann).then(() => done.push('large'));
      await until('all connections busy', () => registry.atOnce === 2);
      await read(small, bob).then(() => done.push('small'));
      assert.deepEqual(done, ['small']);
      gone.abort(new Error('enough'));
      await Promise.allSettled([first, second]);
    });

    it('lends the turn of an endless stream to another user, and says why one waits', async function () {
      this.timeout(20_000);
      begin({ connections: 1, connectionsPerUser: 1 });
      registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 20_000 });
      const endless = read(large, ann);
      await until('the stream has begun', () => registry.atOnce === 1);
      assert.deepEqual(await read(small, bob), small);
      gone.abort(new Error('enough'));
      await assert.rejects(endless, /enough/);
    });

    it('keeps a registry below its rate, all transfers together', async () => {
      const bytesPerSecond = large.length;
      begin({}, bytesPerSecond);
      const start = performance.now();
      await Promise.all([read(large, ann), read(large, bob)]);
      // One second's worth may come at once.
      assert.ok(performance.now() - start > 700, 'twice the bytes of a second in less than one more');
    });
  });

  describe('that fail', () => {
    it('gives up on one byte per second', async () => {
      registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 1 }, Infinity);
      await assert.rejects(read(small), isCode('registry-failing', /less than 1000 bytes per second/));
      assert.ok(waits.some((sentence) => /trying again/.test(sentence)));
    });

    it('leaves no turn taken when it is aborted, whatever it was doing', async () => {
      slowDown(200_000);
      for (let run = 0; run < 6; run++) {
        const stop = new AbortController();
        const reading = (async () => {
          for await (const chunk of chunksOf(large, ann, large.length, stop.signal)) assert.ok(chunk);
        })();
        await until('a request', () => registry.requests.length > run);
        await sleep(run * 20);
        stop.abort(new Error('had enough'));
        await assert.rejects(reading, /had enough/);
      }
      await assertNothingTaken();
    });

    it('leaves no turn taken when the reader goes away', async () => {
      slowDown();
      for await (const chunk of chunksOf(large)) {
        assert.ok(chunk);
        break;
      }
      await assertNothingTaken();
    });
  });

  describe('probe', () => {
    it('asks for one byte, and is content with what a download would be content with', async () => {
      await probe(large);
      assert.deepEqual(ranges(), ['bytes=0-0']);
      registry.inject(/blobs/, { kind: 'ignore-range' });
      await probe(large);
      registry.inject(/blobs/, { kind: 'status', status: 503 });
      await probe(large);
    });

    it('throws what a download would throw', async () => {
      await assert.rejects(probe(large, 1), isCode('content-mismatch', /promises 1/));
      const missing = randomBytes(100);
      const outcome = (work: Promise<unknown>) =>
        work.then(
          () => assert.fail(),
          (error: unknown) => (error as Error).message,
        );
      assert.equal(await outcome(probe(missing)), await outcome(read(missing)));
    });
  });
});
