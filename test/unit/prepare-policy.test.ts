import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { status } from '@grpc/grpc-js';

import { LocalFormat, type PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import { sha256 } from '../support/fault-registry.js';
import { eventsOf, failure, type Request, TestDaemon } from '../support/test-daemon.js';

const layers = [Buffer.alloc(100_000, 'a'), Buffer.alloc(50_000, 'b')];

describe('stowaged, as a site has set it up', () => {
  let daemon: TestDaemon;
  const restart = async (more: string): Promise<void> => {
    await daemon.stopDaemon();
    await daemon.startDaemon(more);
  };
  const blobsAskedFor = async (count: number): Promise<void> => {
    while (daemon.registry.count(/blobs/) < count) await sleep(5);
  };
  const image = (name: string): Request => ({ reference: `${daemon.registry.host}/${name}` });

  beforeEach(async () => {
    daemon = await TestDaemon.start();
    for (const name of ['team/app', 'team/other']) {
      daemon.registry.addImage(name, '1', { layers: [...layers, Buffer.from(name)] });
    }
  });
  afterEach(() => daemon.end());

  it('completes short names and follows aliases, and says so by the name of the image', async () => {
    const { host } = daemon.registry;
    await restart(`[short_names]\nregistry = "${host}"\naliases = { app = "${host}/team/app:1" }`);
    const other = await daemon.plan({ reference: 'team/other:1' });
    assert.equal(other.canonicalReference, `${host}/team/other:1`);
    const { canonicalReference, environment, imageDigest } = await daemon.plan({ reference: 'app' });
    assert.equal(canonicalReference, `${host}/team/app:1`);
    const shown = new Map(environment?.map(({ name, value }) => [name, value]));
    assert.equal(shown.get('STOWAGE_IMAGE'), canonicalReference);
    assert.equal(shown.get('STOWAGE_IMAGE_DIGEST'), imageDigest);
  });

  it("refuses what the site denies, in the site's words, before any registry is asked", async () => {
    const { host } = daemon.registry;
    await restart(`[policy]\ndeny = ["${host}/team/app"]\nmessage = "write to hpc@example.org"`);
    for (const reference of [`${host}/team/app:1`, `${host}/team/app@${sha256(Buffer.from(''))}`]) {
      await assert.rejects(
        daemon.plan({ reference }),
        failure(
          status.PERMISSION_DENIED,
          'image-denied',
          /team\/app.*may not be used.*; write to hpc@example\.org$/,
        ),
      );
    }
    assert.equal(daemon.registry.requests.length, 0);
    await daemon.plan(image('team/other:1'));
  });

  for (const [reference, allowed] of [
    ['/data/images/a.sqsh', true],
    ['/data/images/../a.sqsh', false],
    ['./images/a.sqsh', true],
    ['~/a.sqsh', false],
    ['/scratch/a.sqsh', false],
  ] as const) {
    it(`${allowed ? 'lets' : 'does not let'} ${reference} be used where files below /data/images may`, async () => {
      await restart('[policy]\nallow = ["/data/images/*"]');
      const local = { format: LocalFormat.FORMAT_ROOT_FILE_SYSTEM };
      const plan = daemon.plan({ reference, local, homeDirectory: '/home/ann', workingDirectory: '/data' });
      if (allowed) await plan;
      else await assert.rejects(plan, failure(status.PERMISSION_DENIED, 'image-denied', /not among those/));
    });
  }

  it('lets callers wait for their turn, tells them so, and lets those pass who need no registry', async () => {
    await restart('[limits]\nrequests = 1');
    await daemon.plan(image('team/other:1'));
    daemon.registry.addImage('team/third', '1', { layers: [Buffer.from('third')] });
    const asked = daemon.registry.count(/blobs/);
    daemon.registry.inject(new RegExp(sha256(Buffer.from('team/app'))), { kind: 'stall' });
    const first = daemon.call();
    const cancelled = assert.rejects(eventsOf(first), { code: status.CANCELLED });
    await blobsAskedFor(asked + 4);

    const said: string[] = [];
    const second = daemon.call(image('team/third:1'));
    second.on(
      'data',
      ({ progress }: PrepareResponseMessage) => progress?.detail && said.push(progress.detail),
    );
    const waiting = eventsOf(second);
    while (said.length === 0) await sleep(5);
    assert.match(said[0] ?? '', /^waiting for a turn: you have one request under way on this node$/);
    await daemon.plan(image('team/other:1'));
    assert.equal(daemon.registry.count(/third/), 0);

    first.cancel();
    await cancelled;
    assert.ok((await waiting).at(-1)?.plan);
  });

  it('lets go of a caller who goes away while waiting', async () => {
    await restart('[limits]\nrequests_per_user = 1');
    daemon.registry.inject(/blobs/, { kind: 'stall' }, 4);
    const first = daemon.call();
    const cancelled = assert.rejects(eventsOf(first), { code: status.CANCELLED });
    await blobsAskedFor(1);
    const second = daemon.call(image('team/other:1'));
    const gone = assert.rejects(eventsOf(second), { code: status.CANCELLED });
    await sleep(50);
    second.cancel();
    await gone;
    first.cancel();
    await cancelled;
    assert.equal(daemon.registry.count(/other/), 0);
  });

  it('gives up an image that takes longer than the site allows, and keeps the layers that are complete', async () => {
    await restart('[download]\ndeadline_seconds = 1');
    const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = layers;
    daemon.registry.inject(new RegExp(sha256(second)), { kind: 'trickle', bytesPerSecond: 10_000 });
    await assert.rejects(
      daemon.plan(),
      failure(
        status.UNAVAILABLE,
        'registry-failing',
        /team\/app:1 did not come from registry .* within 1 s, the most that this site allows .*deadline_seconds/,
      ),
    );
    await daemon.plan();
    assert.equal(daemon.registry.count(new RegExp(sha256(first))), 1);
    assert.equal(daemon.registry.count(new RegExp(sha256(second))), 2);
  });

  it('keeps what a ticket stands for until it is redeemed, and what was prefetched only as long as there is room', async () => {
    await daemon.stopDaemon();
    await daemon.startDaemon('', 'max_bytes = 250_000');
    daemon.registry.addImage('team/third', '1', { layers: [Buffer.alloc(200_000, 'c')] });
    await daemon.plan({ prefetch: true });
    await daemon.plan({ ...image('team/third:1'), prefetch: true });
    const tickets = (await daemon.prepare()).flatMap(
      ({ layers: early, plan }) => (early ?? plan)?.blobTicket ?? [],
    );
    await assert.rejects(
      daemon.plan(image('team/third:1')),
      failure(status.RESOURCE_EXHAUSTED, 'store-full', /./),
    );
    assert.equal(tickets.length, 2);
    for (const ticket of tickets) assert.equal(await daemon.redeem(ticket), 0);
    await daemon.plan(image('team/third:1'));
  });
});
