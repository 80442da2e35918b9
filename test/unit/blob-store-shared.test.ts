import assert from 'node:assert/strict';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { RegistryError } from '../../wrapper/registry/error.js';
import { type BlobSource, BlobStore, type DownloadEvent } from '../../wrapper/store/blob-store.js';
import { BoundedCalls, CallHangs } from '../../wrapper/store/bounded-calls.js';
import { type Claim, Claims, pauseAfter } from '../../wrapper/store/claims.js';
import { SharedDirectory } from '../../wrapper/store/shared-directory.js';
import { SharedFiles } from '../../wrapper/store/shared-files.js';
import { logTo } from '../../wrapper/telemetry/log.js';
import { blobOf, caller, from, never, sends, storeConfig } from '../support/test-store.js';

const bytes = Buffer.alloc(3_000_000, 'layer');
const blob = blobOf(bytes);
/** Does not keep the process when a test has given up. */
const aMoment = (): Promise<void> => sleep(5, undefined, { ref: false });
const denied = new RegistryError('registry-denied', 'wants a login');

describe('BlobStore, with a directory that nodes share', () => {
  let directory: string;
  let shared: string;
  let log: Record<string, unknown>[];
  let nodes: BlobStore[];
  const node = async (name: string, sharedAt = shared): Promise<BlobStore> => {
    const store = await BlobStore.open(
      storeConfig(join(directory, name), { shared: sharedAt }),
      'alone',
      logTo((line) => log.push(JSON.parse(line) as Record<string, unknown>)),
    );
    nodes.push(store);
    return store;
  };
  const inShared = (place: string, { digest } = blob): string =>
    join(shared, place, digest.replace(':', '/'));
  const published = async (): Promise<void> => {
    while ((await readdir(join(shared, 'claims'))).length > 0) await aMoment();
  };
  const read = (store: BlobStore, { digest, scope } = blob) => store.read(digest, scope, bytes.length);
  const events = (): string[] => log.map(({ event }) => String(event));

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-shared-'));
    shared = join(directory, 'shared');
    await mkdir(shared, { mode: 0o700 });
    [log, nodes] = [[], []];
  });
  afterEach(async () => {
    await Promise.all(nodes.map((store) => store.close()));
    await rm(directory, { recursive: true });
  });

  it('downloads on one node and reads on the others, for the same callers only', async () => {
    const [first, second] = [await node('1'), await node('2')];
    await first.ensure(blob, sends(bytes), caller());
    await published();
    assert.ok((await readFile(inShared('blobs'))).equals(bytes));
    await second.ensure(blob, never, caller());
    assert.ok((await read(second))?.equals(bytes));
    const foreign = { ...blob, scope: 'evil.example/app' };
    const refusing: BlobSource = from(() => {
      throw denied;
    });
    await assert.rejects((await node('3')).ensure(foreign, refusing, caller()), denied);
    assert.deepEqual(events(), []);
  });

  it('asks the registry before another of its repositories is given what is shared', async () => {
    await (await node('1')).ensure(blob, sends(bytes), caller());
    await published();
    const sibling = { ...blob, scope: 'here/other' };
    const store = await node('2');
    const refusing = { ...never, probe: () => Promise.reject(denied) };
    await assert.rejects(store.ensure(sibling, refusing, caller()), denied);
    const source = sends(bytes);
    await store.ensure(sibling, source, caller());
    assert.deepEqual(source.asked, { bytes: 0, probe: 1 });
    await (await node('3')).ensure(sibling, never, caller());
  });

  /** What has another name is on its way to become a claim, and may come second. */
  const claimed = async (): Promise<void> => {
    const names = (): Promise<string[]> => readdir(join(shared, 'claims')).catch(() => []);
    while (!(await names()).some((name) => /^[0-9a-f]{64}$/.test(name))) await aMoment();
  };

  it('waits while another node downloads, and says so', async () => {
    let go = (): void => undefined;
    const may = new Promise<void>((resolve) => (go = resolve));
    const slow = from(async function* () {
      await may;
      yield bytes;
    });
    const first = (await node('1')).ensure(blob, slow, caller());
    await claimed();
    const heard: DownloadEvent[] = [];
    const second = (await node('2')).ensure(blob, never, caller(undefined, heard));
    while (heard.length === 0) await aMoment();
    assert.deepEqual(heard[0], { waiting: 'another node is downloading it' });
    go();
    await Promise.all([first, second]);
    assert.deepEqual(heard.at(-1), { doneBytes: bytes.length });
  });

  it('stops waiting when the caller goes away', async () => {
    const hanging = from(async function* (signal) {
      await sleep(60_000, undefined, { signal });
      yield bytes;
    });
    const leaving = [new AbortController(), new AbortController()] as const;
    const first = (await node('1')).ensure(blob, hanging, caller(leaving[0].signal));
    await claimed();
    const second = (await node('2')).ensure(blob, never, caller(leaving[1].signal));
    await sleep(50);
    for (const { controller, call } of [
      { controller: leaving[1], call: second },
      { controller: leaving[0], call: first },
    ]) {
      controller.abort(new Error('left'));
      await assert.rejects(call, /left/);
    }
    await published();
    assert.deepEqual(events(), []);
  });

  it('lets another node download what one could not', async () => {
    const fails = from(async function* () {
      await sleep(100);
      throw denied;
    });
    const first = assert.rejects((await node('1')).ensure(blob, fails, caller()), denied);
    await sleep(20);
    const source = sends(bytes);
    await (await node('2')).ensure(blob, source, caller());
    await first;
    assert.equal(source.asked.bytes, 1);
  });

  it('sets aside what has wrong bytes, and downloads it again', async () => {
    await (await node('1')).ensure(blob, sends(bytes), caller());
    await published();
    await writeFile(inShared('blobs'), Buffer.alloc(bytes.length, 'x'));
    const source = sends(bytes);
    const store = await node('2');
    await store.ensure(blob, source, caller());
    assert.equal(source.asked.bytes, 1);
    assert.ok((await read(store))?.equals(bytes));
    await published();
    assert.ok((await readFile(inShared('blobs'))).equals(bytes));
    assert.equal((await readdir(join(shared, 'set-aside'))).length, 1);
    assert.deepEqual(events(), ['shared blob set aside']);
  });

  it('puts a whole blob in the place of one that was cut', async () => {
    await (await node('1')).ensure(blob, sends(bytes), caller());
    await published();
    await writeFile(inShared('blobs'), bytes.subarray(5));
    const source = sends(bytes);
    await (await node('2')).ensure(blob, source, caller());
    assert.equal(source.asked.bytes, 1);
    await published();
    assert.equal((await stat(inShared('blobs'))).size, bytes.length);
  });

  it('follows no symbolic link', async () => {
    await (await node('1')).ensure(blob, sends(bytes), caller());
    await published();
    await rename(inShared('blobs'), join(directory, 'elsewhere'));
    await symlink(join(directory, 'elsewhere'), inShared('blobs'));
    const source = sends(bytes);
    await (await node('2')).ensure(blob, source, caller());
    assert.equal(source.asked.bytes, 1);
  });

  it('shows nothing in it to others', async () => {
    await (await node('1')).ensure(blob, sends(bytes), caller());
    await published();
    const entries = await readdir(shared, { recursive: true, withFileTypes: true });
    for (const entry of entries)
      assert.equal((await stat(join(entry.parentPath, entry.name))).mode & 0o077, 0, entry.name);
  });

  const unfit: [string, RegExp, () => Promise<unknown>][] = [
    ['is missing', /ENOENT/, () => rm(shared, { recursive: true })],
    [
      'is open to others',
      /others may use it \(mode 755\), and its mode has to be 700/,
      () => chmod(shared, 0o755),
    ],
    [
      'is a symbolic link',
      /it is not a directory/,
      () => rename(shared, `${shared}2`).then(() => symlink(`${shared}2`, shared)),
    ],
    ['has a file in the way', /it is not a directory/, () => writeFile(join(shared, 'claims'), '')],
  ];
  for (const [what, reason, spoil] of unfit) {
    it(`goes on alone and says why once when the directory ${what}`, async () => {
      await spoil();
      const store = await node('1');
      for (const content of [bytes, Buffer.from('another')])
        await store.ensure(blobOf(content), sends(content), caller());
      assert.match(store.usage().shared?.problem ?? '', reason);
      assert.equal(store.usage().shared?.directory, shared);
      assert.deepEqual(events(), ['shared store failed']);
    });
  }

  it('uses no directory of another user', async function () {
    const foreign = process.getuid?.() === 0 ? join(directory, 'foreign') : '/root';
    if (process.getuid?.() === 0) {
      await mkdir(foreign, { mode: 0o700 });
      const { chown } = await import('node:fs/promises');
      await chown(foreign, 65432, 65432);
    }
    const store = await node('1', foreign);
    await store.ensure(blob, sends(bytes), caller());
    assert.match(store.usage().shared?.problem ?? '', /it belongs to uid \d+, and has to belong to uid \d+/);
  });

  it('is used again when it works again', async () => {
    await chmod(shared, 0o755);
    const times = { beatMs: 1000, staleMs: 5000, lookMs: 5, patienceMs: 5000, restMs: 20 };
    const place = new SharedDirectory(
      shared,
      logTo((line) => log.push(JSON.parse(line) as Record<string, unknown>)),
      times,
    );
    assert.equal(await place.find(blob.digest, blob.size), undefined);
    assert.notEqual(place.problem, '');
    await chmod(shared, 0o700);
    while (place.problem !== '') {
      await aMoment();
      await place.find(blob.digest, blob.size);
    }
    assert.deepEqual(events(), ['shared store failed', 'shared store works again']);
  });

  it('harms nobody when any file in it is removed at any time', async () => {
    const contents = Array.from({ length: 5 }, (_, i) => Buffer.alloc(300_000, `layer ${i}`));
    const stores = await Promise.all(Array.from({ length: 6 }, (_, i) => node(String(i))));
    let over = false;
    let removed = 0;
    const purge = async (): Promise<void> => {
      while (!over) {
        const entries = await readdir(shared, { recursive: true, withFileTypes: true }).catch(() => []);
        const files = entries.filter((entry) => entry.isFile());
        const unlucky = files[Math.floor(Math.random() * files.length)];
        if (unlucky) {
          await rm(join(unlucky.parentPath, unlucky.name), { force: true });
          removed++;
        }
        await aMoment();
      }
    };
    const purging = purge();
    try {
      await Promise.all(
        stores.map(async (store) => {
          for (const content of contents) {
            await store.ensure(blobOf(content), sends(content), caller());
            assert.ok((await read(store, blobOf(content)))?.equals(content));
          }
        }),
      );
    } finally {
      over = true;
      await purging;
    }
    assert.ok(removed > 0);
    assert.ok(!events().includes('shared blob set aside'));
  });

  it('removes what killed nodes left behind, by age', async () => {
    const store = await node('1');
    await store.ensure(blob, sends(bytes), caller());
    await published();
    const [old, young] = [join(shared, 'incoming/old'), join(shared, 'incoming/young')];
    await writeFile(old, 'x');
    await writeFile(young, 'x');
    const longAgo = Date.now() / 1000 - 100_000;
    await utimes(old, longAgo, longAgo);
    await node('2');
    while ((await readdir(join(shared, 'incoming'))).length > 1) await aMoment();
    assert.deepEqual(await readdir(join(shared, 'incoming')), ['young']);
    assert.ok((await stat(inShared('blobs'))).isFile());
  });
});

describe('looks at a claim of another node', () => {
  const times = { beatMs: 3000, staleMs: 15_000, lookMs: 500 };
  const looksWithin = (ms: number): number => {
    let looks = 0;
    for (let waitedMs = 0; waitedMs < ms; waitedMs += pauseAfter(waitedMs, times)) looks++;
    return looks;
  };

  it('become rarer the longer it takes, and never so rare that a dead node goes unnoticed', () => {
    assert.ok(looksWithin(4000) >= 8, 'an image that comes soon is not waited for');
    const looks = looksWithin(10 * 60_000);
    assert.ok(looks < 300, `${looks} looks in ten minutes`);
    for (const waitedMs of [0, 10_000, 1e9]) assert.ok(pauseAfter(waitedMs, times) <= times.staleMs / 5);
  });
});

describe('Claims', () => {
  let directory: string;
  let end: AbortController;
  const times = { beatMs: 20, staleMs: 200, lookMs: 5 };
  const dead = { beatMs: 1_000_000 };
  const claims = (changes = {}, files = new SharedFiles(5000)): Claims =>
    new Claims(directory, files, { ...times, ...changes });
  const quiet = (): void => undefined;
  const take = (from = claims()): Promise<Claim | undefined> =>
    from.take('key', AbortSignal.any([end.signal]), quiet);
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-claims-'));
    end = new AbortController();
  });
  afterEach(async () => {
    // So that nobody waits for ever, whatever failed.
    end.abort();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  /** 16 try at once, and hold what they get for a while. */
  const crowd = async (): Promise<{ claims: number; atOnce: number }> => {
    let now = 0;
    const counted = { claims: 0, atOnce: 0 };
    const one = async (): Promise<void> => {
      const claim = await take();
      if (!claim) return;
      counted.claims++;
      counted.atOnce = Math.max(counted.atOnce, ++now);
      await sleep(3 * times.staleMs);
      now--;
      await claim.release();
      await claim.release();
    };
    await Promise.all(Array.from({ length: 16 }, one));
    return counted;
  };

  it('gives one of many a claim, and the others notice its end', async () => {
    assert.deepEqual(await crowd(), { claims: 1, atOnce: 1 });
    assert.deepEqual(await readdir(directory), []);
  });

  it('does not take a claim over that beats, however old it is', async () => {
    const claim = await take();
    const [name = ''] = await readdir(directory);
    await utimes(join(directory, name), 1, 1);
    let over = false;
    const waiting = take().then((got) => ((over = true), got));
    await sleep(3 * times.staleMs);
    assert.equal(over, false);
    await claim?.release();
    assert.equal(await waiting, undefined);
  });

  it('lets exactly one of many take over a claim that does not change', async () => {
    await take(claims(dead));
    assert.deepEqual(await crowd(), { claims: 1, atOnce: 1 });
    assert.deepEqual(await readdir(directory), []);
  });

  it('lets exactly one take over from who took over', async () => {
    await take(claims(dead));
    assert.ok(await take(claims(dead)));
    assert.deepEqual(await crowd(), { claims: 1, atOnce: 1 });
    assert.deepEqual(await readdir(directory), []);
  });

  it('lets nobody take over from a claim that has ended while he made up his mind', async () => {
    const old = await take(claims(dead));
    let decided = (): void => undefined;
    let go = (): void => undefined;
    const isDecided = new Promise<void>((resolve) => (decided = resolve));
    const may = new Promise<void>((resolve) => (go = resolve));
    class Hesitant extends SharedFiles {
      override async createWhole(path: string, text: string): Promise<boolean> {
        if (path.includes('.')) await (decided(), may);
        return super.createWhole(path, text);
      }
    }
    const hesitating = take(claims({}, new Hesitant(5000)));
    await isDecided;
    await old?.release();
    const present = await take();
    assert.ok(present);
    go();
    await sleep(2 * times.staleMs);
    assert.equal((await readdir(directory)).length, 1);
    await present.release();
    assert.equal(await hesitating, undefined);
    assert.deepEqual(await readdir(directory), []);
  });

  it('takes over what a node left that was killed before it could write', async () => {
    const claim = await take();
    const [name = ''] = await readdir(directory);
    await claim?.release();
    await writeFile(join(directory, name), '');
    const taken = await take();
    assert.ok(taken);
    await taken.release();
    assert.deepEqual(await readdir(directory), []);
  });

  it('leaves alone the claim of somebody who took it over', async () => {
    const slow = await take(claims(dead));
    const taken = await take();
    const names = (await readdir(directory)).sort();
    await slow?.release();
    assert.deepEqual((await readdir(directory)).sort(), names);
    await taken?.release();
    assert.deepEqual(await readdir(directory), []);
  });

  it('leaves alone the claim of another when somebody has removed its own', async () => {
    const robbed = await take(claims(dead));
    for (const name of await readdir(directory)) await rm(join(directory, name));
    const other = await take();
    assert.ok(other);
    await robbed?.release();
    assert.equal((await readdir(directory)).length, 1);
    await other.release();
    assert.deepEqual(await readdir(directory), []);
  });
});

describe('BoundedCalls', () => {
  it('runs two at once, gives up on one that hangs, and asks nothing more until it is back', async () => {
    const calls = new BoundedCalls(50);
    let back = (_: string): void => undefined;
    let began = 0;
    const hanging = () => {
      began++;
      return new Promise<string>((resolve) => (back = resolve));
    };
    const late: string[] = [];
    const all = Array.from({ length: 5 }, () => calls.run(hanging, (result) => late.push(result)));
    for (const outcome of await Promise.allSettled(all))
      assert.ok(outcome.status === 'rejected' && outcome.reason instanceof CallHangs);
    assert.equal(began, 2);
    await assert.rejects(
      calls.run(() => assert.fail('asked')),
      CallHangs,
    );
    back('late');
    await sleep(1);
    assert.deepEqual(late, ['late']);
    await assert.rejects(
      calls.run(() => assert.fail('asked')),
      CallHangs,
    );
  });

  it('goes on when all are back', async () => {
    const calls = new BoundedCalls(20);
    await assert.rejects(
      calls.run(() => sleep(60)),
      CallHangs,
    );
    await sleep(80);
    assert.equal(await calls.run(async () => 1), 1);
  });
});
