import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Image } from '../../wrapper/image/image.js';
import { parseReference } from '../../wrapper/image/reference.js';
import { Catalog, type CatalogOptions } from '../../wrapper/store/catalog.js';
import { logTo } from '../../wrapper/telemetry/log.js';

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const ubuntu = parseReference('ubuntu:24.04');
const app = parseReference('localhost:5000/team/app:1');

/** An index "a", manifest "b", configuration "c", and layers "d" and "e", one of them twice. */
const documents = [
  { digest: digest('a'), size: 1 },
  { digest: digest('b'), size: 2 },
  { digest: digest('c'), size: 3 },
];
const image = {
  digest: digest('b'),
  documents,
  layers: [
    { digest: digest('d'), size: 40 },
    { digest: digest('e'), size: 50 },
    { digest: digest('d'), size: 40 },
  ],
} as Image;
const resolution = { digest: digest('a'), mediaType: 'application/vnd.oci.image.index.v1+json' };

describe('catalog', () => {
  let directory: string;
  let log: Record<string, unknown>[];
  let nowMs: number;
  const file = (uid: number): string => join(directory, 'catalog', `${uid}.json`);
  const open = (options: CatalogOptions = {}): Promise<Catalog> =>
    Catalog.open(
      directory,
      logTo((line) => log.push(JSON.parse(line) as Record<string, unknown>)),
      { now: () => nowMs, ...options },
    );

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'stowage-catalog-'));
    log = [];
    nowMs = 600_000;
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('knows after a restart what it knew before', async () => {
    const before = await open();
    before.resolved(7, ubuntu, resolution);
    before.used(7, ubuntu, image);
    before.resolved(7, app, { digest: digest('f'), mediaType: undefined });
    const known = before.list();
    await before.close();
    const after = await open();
    assert.deepEqual(after.list(), known);
    assert.deepEqual(after.find(7, ubuntu.canonical), {
      uid: 7,
      canonical: 'docker.io/library/ubuntu:24.04',
      scope: 'docker.io/library/ubuntu',
      ...resolution,
      imageDigest: digest('b'),
      blobs: [{ digest: digest('d'), size: 40 }, { digest: digest('e'), size: 50 }, ...documents],
      layerCount: 2,
      layerBytes: 90,
      resolvedAtMs: 600_000,
      usedAtMs: 600_000,
    });
    assert.equal(after.find(7, app.canonical)?.imageDigest, '');
    await after.close();
    assert.deepEqual(log, []);
  });

  it('keeps what one user asked for from all others, on the disk too', async () => {
    const catalog = await open();
    catalog.resolved(7, ubuntu, resolution);
    catalog.resolved(8, app, resolution);
    assert.equal(catalog.find(8, ubuntu.canonical), undefined);
    assert.deepEqual(
      catalog.list(8).map(({ canonical }) => canonical),
      [app.canonical],
    );
    await catalog.close();
    assert.deepEqual(
      [statSync(join(directory, 'catalog')).mode & 0o777, statSync(file(7)).mode & 0o777],
      [0o700, 0o600],
    );
    assert.doesNotMatch(readFileSync(file(7), 'utf8'), /team\/app/);
  });

  it('writes by itself, and leaves nothing half written', async () => {
    const catalog = await open();
    catalog.resolved(7, ubuntu, resolution);
    assert.ok(!existsSync(file(7)));
    while (!existsSync(file(7))) await sleep(20);
    assert.deepEqual(readdirSync(join(directory, 'catalog')), ['7.json']);
    await catalog.close();
  });

  it('does not write for one more use in the same minute', async () => {
    const catalog = await open();
    catalog.resolved(7, ubuntu, resolution);
    catalog.used(7, ubuntu, image);
    await catalog.close();
    const written = statSync(file(7)).ino;
    nowMs += 30_000;
    catalog.used(7, ubuntu, image);
    await catalog.close();
    assert.equal(statSync(file(7)).ino, written);
    nowMs += 60_000;
    catalog.used(7, ubuntu, image);
    await catalog.close();
    assert.notEqual(statSync(file(7)).ino, written);
    assert.equal(catalog.find(7, ubuntu.canonical)?.usedAtMs, 660_000);
  });

  it('lists the last used first', async () => {
    const catalog = await open();
    catalog.resolved(7, ubuntu, resolution);
    nowMs += 60_000;
    catalog.resolved(8, app, resolution);
    assert.deepEqual(
      catalog.list().map(({ uid }) => uid),
      [8, 7],
    );
    nowMs += 60_000;
    catalog.used(7, ubuntu, image);
    assert.deepEqual(
      catalog.list().map(({ uid }) => uid),
      [7, 8],
    );
    await catalog.close();
  });

  it('forgets what a tag was when it stands for something else', async () => {
    const catalog = await open();
    catalog.resolved(7, ubuntu, resolution);
    catalog.used(7, ubuntu, image);
    catalog.resolved(7, ubuntu, resolution);
    assert.equal(catalog.find(7, ubuntu.canonical)?.layerBytes, 90);
    catalog.resolved(7, ubuntu, { digest: digest('9'), mediaType: undefined });
    // A job that still runs what the tag was.
    catalog.used(7, ubuntu, image);
    const { imageDigest, blobs, layerCount, layerBytes } = catalog.find(7, ubuntu.canonical) ?? assert.fail();
    assert.deepEqual([imageDigest, blobs, layerCount, layerBytes], ['', [], 0, 0]);
    await catalog.close();
  });

  it('forgets an image when told, and its file with the last of a user', async () => {
    const catalog = await open();
    catalog.resolved(7, ubuntu, resolution);
    await catalog.close();
    assert.ok(existsSync(file(7)));
    catalog.forget(7, ubuntu.canonical);
    catalog.used(7, ubuntu, image);
    await catalog.close();
    assert.deepEqual([catalog.list(), existsSync(file(7))], [[], false]);
  });

  it('keeps no more than it may, and lets go what was not used for longest', async () => {
    const catalog = await open({ most: { ofUser: 2, inAll: 3 } });
    const tag = (name: string) => parseReference(`app:${name}`);
    for (const name of ['1', '2', '3']) {
      nowMs += 60_000;
      catalog.resolved(7, tag(name), resolution);
    }
    const names = (): string[] => catalog.list().map(({ uid, canonical }) => `${uid} ${canonical.at(-1)}`);
    assert.deepEqual(names(), ['7 3', '7 2']);
    for (const name of ['8', '9']) {
      nowMs += 60_000;
      catalog.resolved(8, tag(name), resolution);
    }
    assert.deepEqual(names(), ['8 9', '8 8', '7 3']);
    await catalog.close();
  });

  for (const [what, content] of [
    ['no JSON', '{"version":1,"images":['],
    ['another form', '{"version":1,"images":[{"canonical":"x"}]}'],
    ['a digest that is none', JSON.stringify({ version: 1, images: [{ digest: '../../etc' }] })],
    ['another version', '{"version":2,"images":[]}'],
    ['binary', '\0\0\0'],
  ] as const) {
    it(`sets a damaged file aside, says so, and goes on: ${what}`, async () => {
      await (await open()).close();
      writeFileSync(file(7), content);
      const catalog = await open();
      assert.deepEqual(catalog.list(), []);
      assert.deepEqual(
        log.map(({ event, uid }) => [event, uid]),
        [['catalog damaged', 7]],
      );
      assert.equal(readFileSync(`${file(7)}.damaged`, 'utf8'), content);
      catalog.resolved(7, ubuntu, resolution);
      await catalog.close();
      assert.ok(existsSync(file(7)));
    });
  }

  it('removes what a writer left that was killed', async () => {
    await (await open()).close();
    writeFileSync(`${file(7)}.new`, '{"ver');
    await (await open()).close();
    assert.deepEqual(readdirSync(join(directory, 'catalog')), []);
  });

  it('goes on where it cannot be written, and says so once', async () => {
    const catalog = await open();
    rmSync(join(directory, 'catalog'), { recursive: true });
    for (const reference of [ubuntu, app]) {
      catalog.resolved(7, reference, resolution);
      await catalog.close();
    }
    assert.deepEqual(
      log.map(({ event }) => event),
      ['catalog not written'],
    );
    assert.equal(catalog.list(7).length, 2);
  });
});
