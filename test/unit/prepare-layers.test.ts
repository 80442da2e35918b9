import assert from 'node:assert/strict';
import { fstatSync, readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { status } from '@grpc/grpc-js';

import type { PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import { sha256 } from '../support/fault-registry.js';
import { type Call, eventsOf, failure, TestDaemon } from '../support/test-daemon.js';

const layers = ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => Buffer.alloc(5000, letter));

/** Nameless files that this process, and so the daemon in it, holds open. */
function draftsIn(directory: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(`${directory}/store/blobs`) && fstatSync(Number(fd)).nlink === 0;
    } catch {
      return false;
    }
  }).length;
}

describe('stowaged, while layers are downloaded', () => {
  let daemon: TestDaemon;

  beforeEach(async () => {
    daemon = await TestDaemon.start();
    daemon.registry.addImage('team/app', '1', { layers });
  });
  afterEach(() => daemon.end());

  /** The events of a call, from which `onLayers` learns what can be unpacked early. */
  const watch = (onLayers: (event: NonNullable<PrepareResponseMessage['layers']>, call: Call) => void) => {
    const call = daemon.call();
    call.on('data', (event: PrepareResponseMessage) => event.layers && onLayers(event.layers, call));
    return eventsOf(call);
  };
  const allClosed = async (): Promise<void> => {
    while (draftsIn(daemon.directory) > 0) await sleep(5);
  };

  it('hands out all of them before they are here, those whose turn has not come too', async () => {
    const [first = Buffer.alloc(0)] = layers;
    daemon.registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 20_000 }, 7);
    let answer: Promise<number | undefined> | undefined;
    let event: PrepareResponseMessage['layers'];
    const events = await watch((got) => {
      event = got;
      assert.equal(draftsIn(daemon.directory), layers.length);
      answer = daemon.redeem(got.blobTicket as Uint8Array);
    });
    const plan = events.at(-1)?.plan;
    assert.ok(event && plan);
    assert.equal(await answer, 0);
    assert.equal(event.imageDigest, plan.imageDigest);
    assert.deepEqual(event.layers, plan.layers);
    assert.equal(event.layers?.[0]?.digest, sha256(first));
    assert.deepEqual(event.budget, plan.budget);
    assert.equal(event.blobSocket, plan.blobSocket);
    assert.equal(events.filter((other) => other.layers).length, 1);
  });

  it('gives tickets that open once each, before the plan and after it', async () => {
    let early: Uint8Array | undefined | null;
    const late = (await watch((event) => (early = event.blobTicket))).at(-1)?.plan?.blobTicket;
    assert.ok(early && late);
    for (const ticket of [early, late]) {
      assert.equal(await daemon.redeem(ticket), 0);
      assert.equal(await daemon.redeem(ticket), 1);
    }
  });

  it('says nothing of layers when they are all here, or the tree is', async () => {
    const { imageDigest } = await daemon.plan();
    assert.ok(!(await daemon.prepare()).some((event) => event.layers));
    await daemon.stopDaemon();
    daemon.registry.addImage('team/app', '1', { layers: [Buffer.from('new')] });
    await daemon.startDaemon('[resolve]\nttl_seconds = 0');
    const digest = daemon.registry.addImage('team/app', '1', { layers: [Buffer.from('new')] });
    assert.notEqual(digest, imageDigest);
    assert.ok(!(await daemon.prepare({ unpackedDigests: [digest] })).some((event) => event.layers));
  });

  it('closes the files when the caller goes away', async () => {
    daemon.registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 2000 }, 7);
    await assert.rejects(
      watch((_, call) => call.cancel()),
      { code: status.CANCELLED },
    );
    await allClosed();
  });

  it('closes the files when the download fails, and opens nothing for the ticket any more', async () => {
    daemon.registry.inject(new RegExp(sha256(layers[5] as Buffer)), {
      kind: 'replace',
      body: Buffer.alloc(5000, 'x'),
    });
    let early: Uint8Array | undefined | null;
    await assert.rejects(
      watch((event) => (early = event.blobTicket)),
      failure(status.DATA_LOSS, 'content-mismatch', /wrong bytes/),
    );
    await allClosed();
    assert.ok(early);
    assert.equal(await daemon.redeem(early), undefined);
  });

  it('holds one file for each layer, however many callers wait for it', async () => {
    daemon.registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 20_000 }, 7);
    let most = 0;
    const all = await Promise.all(
      Array.from({ length: 10 }, () => watch(() => (most = Math.max(most, draftsIn(daemon.directory))))),
    );
    assert.ok(all.every((events) => events.some((event) => event.layers)));
    assert.equal(most, layers.length);
    for (const layer of layers) assert.equal(daemon.registry.count(new RegExp(sha256(layer))), 1);
    await allClosed();
  });
});
