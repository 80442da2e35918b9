import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type ServiceError, status } from '@grpc/grpc-js';

import { stowage } from '#proto';

import type { Image } from '../../wrapper/image/image.js';
import { parseReference } from '../../wrapper/image/reference.js';
import { dockerHub } from '../../wrapper/image/short-names.js';
import {
  type GetStatusResponseMessage,
  type ListImagesResponseMessage,
  ProgressPhase,
  type PruneRequestMessage,
  type PruneResponseMessage,
} from '../../wrapper/rpc/definitions.js';
import { NodeService, type NodeServiceParts } from '../../wrapper/rpc/node-service.js';
import { RunningRequests } from '../../wrapper/rpc/running.js';
import { Catalog } from '../../wrapper/store/catalog.js';
import { logTo } from '../../wrapper/telemetry/log.js';

const root = 0;
const ownUid = 900;
const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;

/** A store of these blobs, of which nothing matters but which are to go. */
class StoreDouble {
  readonly directory = '/var/lib/stowage';
  readonly blobs = ['a', 'b', 'd', 'e', 'f'].map(digest);
  readonly asked: { remove: string[]; dryRun: boolean }[] = [];
  usage = () => ({ bytes: 5, blobs: 2, maxBytes: 0, maxBlobs: 0, freeBytes: 7 });
  sizeOf = (wanted: string) => Promise.resolve(wanted === digest('d') ? 40 : undefined);
  removeAllBut(keep: { has(digest: string): boolean }, dryRun: boolean) {
    this.asked.push({ remove: this.blobs.filter((blob) => !keep.has(blob)), dryRun });
    return Promise.resolve({ blobs: 1, bytes: 2 });
  }
}

describe('node service', () => {
  let directory: string;
  let catalog: Catalog;
  let store: StoreDouble;
  let running: RunningRequests;
  let log: Record<string, unknown>[];
  let service: NodeService;

  const image = (top: string, ...layers: string[]): Image =>
    ({
      digest: digest(top),
      documents: [{ digest: digest(top), size: 1 }],
      layers: layers.map((letter) => ({ digest: digest(letter), size: 40 })),
    }) as unknown as Image;
  const use = (uid: number, name: string, used: Image): void => {
    const reference = parseReference(name);
    catalog.resolved(uid, reference, { digest: used.digest, mediaType: undefined });
    catalog.used(uid, reference, used);
  };
  const serve = (mode: 'service' | 'single-user' = 'service'): NodeService =>
    new NodeService(
      {
        ...{ ownUid, catalog, running, config: { mode, shortNames: dockerHub } },
        store: store as unknown as NodeServiceParts['store'],
      },
      logTo((line) => log.push(JSON.parse(line) as Record<string, unknown>)),
    );

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'stowage-node-'));
    log = [];
    catalog = await Catalog.open(
      directory,
      logTo(() => undefined),
      { most: { ofUser: 10_000, inAll: 10_000 } },
    );
    store = new StoreDouble();
    running = new RunningRequests();
    service = serve();
    use(7, 'ubuntu:24.04', image('a', 'd', 'e'));
    use(8, 'app:1', image('b', 'd'));
  });
  afterEach(async () => {
    await catalog.close();
    rmSync(directory, { recursive: true });
  });

  /** Calls as `uid`; rejects with what gRPC would send. */
  function call<Answer>(uid: number, method: 'getStatus' | 'listImages' | 'prune', request: object) {
    return new Promise<Answer>((resolve, reject) => {
      const answer = (error: Error | null, response?: unknown): void =>
        error ? reject(error) : resolve(response as Answer);
      const asked = { getPeer: () => `peer 1 ${uid} ${uid}`, request };
      (service[method] as unknown as (asked: object, answer: object) => void)(asked, answer);
    });
  }
  const list = (uid: number, allUsers = false) =>
    call<ListImagesResponseMessage>(uid, 'listImages', { allUsers });
  const prune = (uid: number, request: Partial<PruneRequestMessage> = {}) =>
    call<PruneResponseMessage>(uid, 'prune', {
      ...{ references: [], unusedSeconds: 0, allUsers: false, dryRun: false },
      ...request,
    });
  const names = ({ images }: ListImagesResponseMessage | PruneResponseMessage): unknown[] =>
    (images ?? []).map(({ uid, canonicalReference }) => [uid, canonicalReference]);
  const denied = {
    code: status.PERMISSION_DENIED,
    details: /^images of all users are for root and the user/,
  };

  it('shows each user their own images, and administrators all', async () => {
    assert.deepEqual(names(await list(7)), [[7, 'docker.io/library/ubuntu:24.04']]);
    assert.deepEqual(names(await list(9)), []);
    for (const uid of [root, ownUid]) {
      assert.deepEqual(names(await list(uid)), []);
      assert.equal(names(await list(uid, true)).length, 2);
    }
    await assert.rejects(list(7, true), denied);
  });

  it('says what of an image is on the node', async () => {
    const [shown] = (await list(7)).images ?? [];
    assert.deepEqual([shown?.imageDigest, shown?.sizeBytes, shown?.presentBytes], [digest('a'), 80, 40]);
  });

  it('keeps what images of others need, whoever prunes', async () => {
    assert.deepEqual(names(await prune(7)), [[7, 'docker.io/library/ubuntu:24.04']]);
    assert.deepEqual(store.asked, [{ remove: [digest('a'), digest('e')], dryRun: false }]);
    assert.deepEqual([catalog.list(7), catalog.list(8).length], [[], 1]);
    assert.deepEqual(
      log.map(({ event, uid, images, blobs, bytes }) => [event, uid, images, blobs, bytes]),
      [['pruned', 7, 1, 1, 2]],
    );
  });

  it('removes blobs of no image that anybody used only for administrators, whatever is forgotten', async () => {
    await prune(9);
    await prune(8, { references: ['app:1'] });
    await prune(root);
    assert.deepEqual(
      store.asked.map(({ remove }) => remove),
      [[], [digest('b')], [digest('b'), digest('f')]],
    );
  });

  it('changes nothing in a dry run', async () => {
    assert.equal(names(await prune(7, { dryRun: true })).length, 1);
    assert.deepEqual([store.asked[0]?.dryRun, catalog.list().length, log], [true, 2, []]);
  });

  it('lets nobody but administrators prune what is others’', async () => {
    await assert.rejects(prune(7, { allUsers: true }), denied);
    await assert.rejects(prune(7, { references: ['app:1'] }), { code: status.NOT_FOUND });
    await assert.rejects(prune(7, { references: ['ubuntu:24.04', 'App'] }), {
      code: status.INVALID_ARGUMENT,
    });
    assert.deepEqual([store.asked, catalog.list().length], [[], 2]);
    assert.deepEqual(names(await prune(root, { allUsers: true, references: ['app:1'] })), [
      [8, 'docker.io/library/app:1'],
    ]);
    assert.equal(names(await prune(root, { allUsers: true })).length, 1);
    assert.deepEqual(store.asked.at(-1)?.remove, store.blobs);
  });

  it('bounds its answers, and says how much it leaves out', async () => {
    const longest = `registry.example.org/${'x'.repeat(115)}/${'x'.repeat(115)}`;
    for (let i = 0; i < 5003; i++) use(9, `${longest}:${String(i).padStart(128, '0')}`, image('c', 'd'));
    const answer = await list(9);
    assert.deepEqual([answer.images?.length, answer.leftOut], [5000, 3]);
    assert.ok(stowage.v1.ListImagesResponse.encode(answer).finish().length < 4 * 1024 * 1024);
    assert.deepEqual([(await prune(9)).leftOut, catalog.list(9).length], [3, 0]);
  });

  it('shows each user their own requests, and how many there are', async () => {
    const job = { jobId: 42, stepId: 0, nodeName: 'n1' };
    for (const uid of [7, 8]) {
      const request = { uid, job, reference: `image-of-${uid}`, progress: {}, beganMs: 0, prefetch: false };
      const handle = running.begin(() => undefined);
      handle.describe(request);
      handle.update({
        phase: uid === 8 ? ProgressPhase.PHASE_WAITING : ProgressPhase.PHASE_DOWNLOADING,
        detail: 'x'.repeat(10_000),
      });
    }
    // One that has said nothing yet is none that could be shown.
    running.begin(() => undefined);
    const seenBy = async (uid: number): Promise<unknown[]> => {
      const answer = await call<GetStatusResponseMessage>(uid, 'getStatus', {});
      assert.deepEqual([answer.runningRequests, answer.waitingRequests], [2, 1]);
      assert.ok((answer.requests ?? []).every(({ progress }) => (progress?.detail?.length ?? 0) <= 500));
      return (answer.requests ?? []).map(({ reference }) => reference);
    };
    assert.deepEqual(await seenBy(7), ['image-of-7']);
    assert.deepEqual(await seenBy(9), []);
    assert.deepEqual(await seenBy(root), ['image-of-7', 'image-of-8']);
  });

  it('serves nobody but its own user and root in single-user mode', async () => {
    service = serve('single-user');
    await assert.rejects(list(7), { code: status.PERMISSION_DENIED });
    await assert.rejects(prune(7), { code: status.PERMISSION_DENIED });
    assert.equal(names(await list(ownUid, true)).length, 2);
    assert.equal(names(await list(root, true)).length, 2);
  });

  it('answers a defect without its inner detail, and logs it', async () => {
    store.removeAllBut = () => Promise.reject(new Error('secret inner detail'));
    await assert.rejects(prune(7), ({ code, details }: ServiceError) => {
      assert.equal(code, status.INTERNAL);
      assert.doesNotMatch(details, /secret/);
      return true;
    });
    assert.match(String(log.at(-1)?.['detail']), /secret inner detail/);
  });
});
