import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { status } from '@grpc/grpc-js';

import { stowage } from '#proto';

import { sha256 } from '../support/fault-registry.js';
import { failure, TestDaemon } from '../support/test-daemon.js';

const {
  PULL_POLICY_MISSING: missing,
  PULL_POLICY_ALWAYS: always,
  PULL_POLICY_NEVER: never,
} = stowage.v1.PullPolicy;
const layers = [Buffer.alloc(100_000, 'a'), Buffer.alloc(50_000, 'b')];
const newLayers = [Buffer.alloc(70_000, 'c')];

describe('stowaged, with a pull policy', () => {
  let daemon: TestDaemon;
  const image = (): string => `${daemon.registry.host}/team/app:1`;
  const push = (bytes: Buffer[]): string => daemon.registry.addImage('team/app', '1', { layers: bytes });
  const requests = (): number => daemon.registry.requests.length;
  /** Goes on with another configuration, after which only the catalog and the store are known. */
  const restart = async (more: string): Promise<void> => {
    await daemon.stopDaemon();
    await daemon.startDaemon(more);
  };
  const breakDown = (times = 1000): void => daemon.registry.inject(/v2/, { kind: 'reset' }, times);
  const outOfOrder = { kind: 'status', status: 503 } as const;
  const removeBlob = (bytes: Buffer) =>
    rm(join(daemon.directory, 'store/blobs/sha256', sha256(bytes).slice('sha256:'.length)));
  const noTtl = '[resolve]\nttl_seconds = 0\n[download]\nretries = 0';

  beforeEach(async () => {
    daemon = await TestDaemon.start();
    push(layers);
  });
  afterEach(() => daemon.end());

  describe('missing', () => {
    it('asks for the tag again when the last answer is too old, and only with HEAD', async () => {
      await restart(noTtl);
      await daemon.plan();
      const before = requests();
      await daemon.plan();
      assert.deepEqual(
        daemon.registry.requests.slice(before).map(({ method }) => method),
        ['HEAD'],
      );
      const digest = push(newLayers);
      assert.equal((await daemon.plan({ pull: missing })).imageDigest, digest);
    });

    it('asks for a pinned digest again as well: access can be taken away', async () => {
      await restart(noTtl);
      const reference = `${daemon.registry.host}/team/app@${push(layers)}`;
      await daemon.plan({ reference });
      daemon.registry.requireBasic('ann', 's3cret');
      await assert.rejects(
        daemon.plan({ reference }),
        failure(status.PERMISSION_DENIED, 'registry-denied', /team\/app@sha256/),
      );
    });

    for (const [what, outage] of [
      ['cannot be reached', breakDown],
      ['is out of order', () => daemon.registry.inject(/v2/, outOfOrder, 1000)],
    ] as const) {
      it(`runs what the tag was while the registry ${what}, and says so`, async () => {
        await restart(noTtl);
        const { imageDigest } = await daemon.plan();
        outage();
        const { imageDigest: fallback, notice, blobTicket } = await daemon.plan();
        assert.equal(fallback, imageDigest);
        assert.match(
          notice ?? '',
          new RegExp(
            `^registry ${daemon.registry.host} .*; running what ${image()} was on \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC, ${imageDigest}$`,
          ),
        );
        assert.equal(await daemon.redeem(blobTicket ?? Buffer.alloc(0)), 0);
      });
    }

    it('holds the job to what it fell back on, with the notice', async () => {
      await restart(noTtl);
      const { imageDigest } = await daemon.plan();
      breakDown();
      const { notice } = await daemon.plan({ job: { jobId: 7 } });
      assert.ok(notice);
      push(newLayers);
      const before = requests();
      const later = await daemon.plan({ job: { jobId: 7 } });
      assert.deepEqual([later.imageDigest, later.notice], [imageDigest, notice]);
      assert.equal(requests(), before);
    });

    it('says nothing while all is well', async () => {
      assert.equal((await daemon.plan()).notice ?? '', '');
    });

    it('does not fall back when the registry refuses, or has no such image', async () => {
      await restart(noTtl);
      await daemon.plan();
      daemon.registry.inject(/manifests/, { kind: 'status', status: 404 }, 2);
      await assert.rejects(daemon.plan(), failure(status.NOT_FOUND, 'image-not-found', /not found/));
      daemon.registry.requireBasic('ann', 's3cret');
      await assert.rejects(daemon.plan(), failure(status.PERMISSION_DENIED, 'registry-denied', /./));
    });

    it('does not fall back on what is older than the site allows', async () => {
      await restart(noTtl.replace('\n', '\nmax_age_days = 0\n'));
      await daemon.plan();
      breakDown();
      await assert.rejects(daemon.plan(), failure(status.UNAVAILABLE, 'registry-unreachable', /./));
    });

    it('does not fall back on what is not all here', async () => {
      await restart(noTtl);
      await daemon.plan();
      await removeBlob(layers[1] as Buffer);
      breakDown(1);
      const job = { jobId: 7 };
      await assert.rejects(daemon.plan({ job }), failure(status.UNAVAILABLE, 'registry-unreachable', /./));
      const digest = push(newLayers);
      assert.equal((await daemon.plan({ job })).imageDigest, digest);
    });

    it('falls back on what is not all here if the caller has the tree', async () => {
      await restart(noTtl);
      const { imageDigest } = await daemon.plan();
      await removeBlob(layers[1] as Buffer);
      breakDown();
      const { notice } = await daemon.plan({ unpackedDigests: [imageDigest ?? ''] });
      assert.match(notice ?? '', /running what/);
    });

    it('does not fall back on an image that never came in full', async () => {
      await restart(noTtl);
      const { imageDigest } = await daemon.plan();
      push(newLayers);
      daemon.registry.inject(/blobs/, { kind: 'status', status: 404 }, 1);
      await assert.rejects(daemon.plan());
      breakDown();
      assert.equal((await daemon.plan()).imageDigest, imageDigest);
    });
  });

  describe('always', () => {
    it('asks although the last answer is young', async () => {
      await daemon.plan();
      const digest = push(newLayers);
      assert.notEqual((await daemon.plan()).imageDigest, digest);
      assert.equal((await daemon.plan({ pull: always })).imageDigest, digest);
    });

    it('asks at the first step of a job, and not at those that follow', async () => {
      const job = { jobId: 7 };
      await daemon.plan();
      await daemon.plan({ job });
      const digest = push(newLayers);
      assert.equal((await daemon.plan({ job, pull: always })).imageDigest, digest);
      push(layers);
      const before = requests();
      assert.equal((await daemon.plan({ job, pull: always })).imageDigest, digest);
      assert.equal((await daemon.plan({ job })).imageDigest, digest);
      assert.equal(requests(), before);
    });

    it('fails when the registry cannot be asked', async () => {
      await restart('[resolve]\npull = "always"\n[download]\nretries = 0');
      await daemon.plan();
      breakDown();
      await assert.rejects(daemon.plan(), failure(status.UNAVAILABLE, 'registry-unreachable', /./));
    });
  });

  describe('never', () => {
    it('asks nobody, however old the answer is', async () => {
      await restart(noTtl);
      const { imageDigest } = await daemon.plan();
      push(newLayers);
      const before = requests();
      const answer = await daemon.plan({ pull: never });
      assert.equal(answer.imageDigest, imageDigest);
      assert.equal(await daemon.redeem(answer.blobTicket ?? Buffer.alloc(0)), 0);
      assert.equal(requests(), before);
    });

    it('says what to do about an image that was not used here before', async () => {
      await assert.rejects(
        daemon.plan({ pull: never }),
        failure(
          status.NOT_FOUND,
          'not-on-node',
          /app:1 is not on this node: you have not used it here before.*"never".*give --image-pull=missing once/,
        ),
      );
      assert.equal(requests(), 0);
    });

    it('says that part of an image is gone', async () => {
      await daemon.plan();
      await removeBlob(layers[0] as Buffer);
      const before = requests();
      await assert.rejects(
        daemon.plan({ pull: never }),
        failure(status.NOT_FOUND, 'not-on-node', /part of it is gone from here/),
      );
      assert.equal(requests(), before);
    });
  });

  describe('prefetch', () => {
    it('brings the image and hands out nothing', async () => {
      const events = await daemon.prepare({ prefetch: true });
      assert.ok(!events.some((event) => event.layers));
      const plan = events.at(-1)?.plan;
      assert.equal(plan?.blobTicket?.length ?? 0, 0);
      assert.equal(plan?.layers?.length, layers.length);
      const before = requests();
      const answer = await daemon.plan();
      assert.equal(requests(), before);
      assert.equal(await daemon.redeem(answer.blobTicket ?? Buffer.alloc(0)), 0);
      assert.equal((await readdir(join(daemon.directory, 'store/blobs/sha256'))).length, layers.length + 2);
    });

    it('is joined by the step that follows', async () => {
      daemon.registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 200_000 }, 3);
      const job = { jobId: 7 };
      const prefetching = daemon.prepare({ prefetch: true, job });
      while (daemon.registry.count(/blobs/) < 3) await sleep(5);
      const events = await daemon.prepare({ job });
      await prefetching;
      assert.ok(events.some((event) => event.layers));
      for (const layer of layers) assert.equal(daemon.registry.count(new RegExp(sha256(layer))), 1);
    });
  });
});
