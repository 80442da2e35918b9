import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { RegistryError } from '../../wrapper/registry/error.js';
import { SessionClosed } from '../../wrapper/registry/session.js';
import { type BlobSource, BlobStore } from '../../wrapper/store/blob-store.js';
import { mostScopes, parseOrigins } from '../../wrapper/store/origins.js';
import { Provenance } from '../../wrapper/store/provenance.js';
import { blobOf, caller, from, never, sends, storeConfig } from '../support/test-store.js';

const secret = Buffer.from('what only some may read');
const mine = blobOf(secret, 'private.example/a/app');
const sibling = { ...mine, scope: 'private.example/b/app' };
const foreign = { ...mine, scope: 'evil.example/b/app' };
const denied = new RegistryError('registry-denied', 'wants a login');
const refuses: BlobSource = {
  bytes: () => {
    throw denied;
  },
  probe: () => Promise.reject(denied),
  distrust: () => false,
};

describe('BlobStore, and who may read what', () => {
  let directory: string;
  let store: BlobStore;
  const reopen = async (): Promise<void> => {
    await store.close();
    store = await BlobStore.open(storeConfig(directory));
  };
  const origins = (): string => join(directory, 'origins', mine.digest.replace(':', '/'));
  const isReadable = ({ digest, scope } = mine): Promise<boolean> => store.isReadable(digest, scope);
  const inode = async (): Promise<number> =>
    (await stat(join(directory, 'blobs', mine.digest.replace(':', '/')))).ino;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-scopes-'));
    store = await BlobStore.open(storeConfig(directory));
    await store.ensure(mine, sends(secret), caller());
  });
  afterEach(async () => {
    await store.close();
    await rm(directory, { recursive: true });
  });

  it('opens nothing by the digest alone', async () => {
    for (const blob of [sibling, foreign]) {
      assert.equal(await isReadable(blob), false);
      assert.equal(await store.read(blob.digest, blob.scope, 1000), undefined);
      await assert.rejects(store.open(blob), { code: 'store-failing' });
      await assert.rejects(store.openGrowing(blob), { code: 'store-failing' });
      await assert.rejects(store.ensure(blob, refuses, caller()), denied);
      assert.equal(await isReadable(blob), false);
    }
  });

  it('gives a blob to another repository of the registry that would send it, with one small request', async () => {
    const source = sends(secret);
    await store.ensure(sibling, source, caller());
    assert.deepEqual(source.asked, { bytes: 0, probe: 1 });
    assert.ok((await store.read(sibling.digest, sibling.scope, 1000))?.equals(secret));
    await store.ensure(sibling, never, caller());
  });

  it('does not believe a registry that claims to have a blob which it never sent', async () => {
    const claims: BlobSource = {
      ...sends(Buffer.alloc(secret.length)),
      probe: async () => undefined,
    };
    await assert.rejects(store.ensure(foreign, claims, caller()), { code: 'content-mismatch' });
    const sendsNothing: BlobSource = { ...sends(Buffer.alloc(0)), probe: async () => undefined };
    await assert.rejects(store.ensure(foreign, sendsNothing, caller()), { code: 'content-mismatch' });
    assert.equal(await isReadable(foreign), false);
  });

  it('downloads a blob in full from another registry, and publishes nothing twice', async () => {
    const before = await inode();
    const source = sends(secret);
    assert.equal(await store.ensure(foreign, source, caller()), secret.length);
    assert.deepEqual(source.asked, { bytes: 1, probe: 0 });
    assert.equal(await inode(), before);
    assert.equal(await isReadable(foreign), true);
    assert.equal(await isReadable(), true);
    assert.equal(store.usage().blobs, 1);
  });

  it('asks a registry the same, and says the same, whether or not it has what others downloaded', async () => {
    const asked = async (blob: typeof mine): Promise<string[]> => {
      const requests: string[] = [];
      const source: BlobSource = {
        bytes: () => {
          requests.push('GET');
          throw denied;
        },
        distrust: () => false,
        probe: () => {
          requests.push('GET');
          return Promise.reject(denied);
        },
      };
      await assert.rejects(store.ensure(blob, source, caller()), denied);
      await assert.rejects(store.ensure({ ...blob, size: 7 }, source, caller()), denied);
      return requests;
    };
    const absent = blobOf(Buffer.from('nobody has this'));
    for (const { scope } of [sibling, foreign])
      assert.deepEqual(await asked({ ...mine, scope }), await asked({ ...absent, scope }));
  });

  it('keeps manifests to the scope that they came from', async () => {
    const manifest = blobOf(Buffer.from('{}'), mine.scope);
    await store.put(manifest.digest, mine.scope, Buffer.from('{}'));
    assert.equal(await store.read(manifest.digest, foreign.scope, 1000), undefined);
    await store.put(manifest.digest, foreign.scope, Buffer.from('{}'));
    assert.ok(await store.read(manifest.digest, foreign.scope, 1000));
    await assert.rejects(store.put(manifest.digest, sibling.scope, Buffer.from('[]')), /wrong bytes/);
  });

  it('remembers it across a restart', async () => {
    await reopen();
    assert.equal(await isReadable(), true);
    assert.equal(await isReadable(foreign), false);
  });

  it('does not let anybody read a blob of which the origin was lost', async () => {
    await rm(origins());
    assert.equal(await isReadable(), false);
    const source = sends(secret);
    await store.ensure(mine, source, caller());
    assert.deepEqual(source.asked, { bytes: 1, probe: 0 });
  });

  it('removes such a blob when it starts, and what is said about blobs that are not here', async () => {
    await rm(origins());
    const other = join(directory, 'origins/sha256', 'f'.repeat(64));
    await writeFile(other, 'a/b\n');
    await writeFile(`${other}.12ab`, 'a/b\n');
    await reopen();
    while ((await readdir(join(directory, 'origins/sha256'))).length > 0) await sleep(5);
    while ((await store.sizeOf(mine.digest)) !== undefined) await sleep(5);
  });

  it('takes a line that is not complete for none, and does not complete it with the next', async () => {
    const { size } = await stat(origins());
    await truncate(origins(), size - 1);
    assert.equal(await isReadable(), false);
    await appendFile(origins(), 'xyz');
    await store.ensure(foreign, sends(secret), caller());
    assert.equal(await readFile(origins(), 'utf8'), `${foreign.scope}\n`);
  });

  it('joins only callers of one scope in one download', async () => {
    const blob = Buffer.from('shared');
    const slow: BlobSource = from(async function* (signal) {
      await sleep(30, undefined, { signal });
      yield blob;
    });
    const other = { ...blobOf(blob), scope: 'here/b/app' };
    const first = store.ensure(blobOf(blob), slow, caller());
    await assert.rejects(store.ensure(other, refuses, caller()), denied);
    await store.ensure(blobOf(blob), never, caller());
    await first;
  });

  it('goes on with the source of a caller who still waits when the one who began has gone', async () => {
    const blob = Buffer.from('handed on');
    const leaving = new AbortController();
    let [began, closed] = [false, false];
    const leavers = from(async function* () {
      began = true;
      yield blob.subarray(0, 3);
      while (!closed) await sleep(5);
      throw new SessionClosed();
    });
    const first = assert.rejects(store.ensure(blobOf(blob), leavers, caller(leaving.signal)), /left/);
    while (!began) await sleep(5);
    const own = [sends(blob), sends(blob)];
    const others = own.map((source) => store.ensure(blobOf(blob), source, caller()));
    await sleep(100);
    leaving.abort(new Error('left'));
    closed = true;
    await first;
    await Promise.all(others);
    assert.equal(
      own.reduce((sum, { asked }) => sum + asked.bytes, 0),
      1,
    );
  });

  it('does not try again with a session of its own that was closed', async () => {
    const closed = from(() => {
      throw new SessionClosed();
    });
    await assert.rejects(store.ensure(blobOf(Buffer.from('x')), closed, caller()), SessionClosed);
  });
});

describe('Provenance', () => {
  let directory: string;
  const digest = mine.digest;
  beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'stowage-origins-'))));
  afterEach(() => rm(directory, { recursive: true }));

  it('keeps what many writers add at once', async () => {
    const provenance = await Provenance.open(directory);
    const scopes = Array.from({ length: 40 }, (_, i) => `host/app${i}`);
    await Promise.all([...scopes, ...scopes].map((scope) => provenance.add(digest, scope)));
    assert.deepEqual([...provenance.scopesOf(digest)].sort(), scopes.sort());
    const [name = '', ...others] = await readdir(join(directory, 'sha256'));
    assert.deepEqual(others, []);
    assert.equal((await stat(join(directory, 'sha256', name))).mode & 0o777, 0o600);
  });

  it('keeps the newest of too many', async () => {
    const provenance = await Provenance.open(directory);
    for (let i = 0; i <= mostScopes + 5; i++) await provenance.add(digest, `host/app${i}`);
    const scopes = provenance.scopesOf(digest);
    assert.equal(scopes.size, mostScopes);
    assert.ok(scopes.has(`host/app${mostScopes + 5}`) && !scopes.has('host/app0'));
  });

  it('writes nothing that could be read as two scopes', async () => {
    const provenance = await Provenance.open(directory);
    await assert.rejects(provenance.add(digest, 'host/a\nother/b'), TypeError);
    await assert.rejects(provenance.add(digest, 'host'), TypeError);
    assert.deepEqual(parseOrigins('\n\0\nhost/a\nhost\nhost/b'), new Set(['host/a']));
  });
});
