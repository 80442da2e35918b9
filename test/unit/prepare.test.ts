import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { status } from '@grpc/grpc-js';

import { protocol } from '../../wrapper/package-root.js';
import { healthService, ServingStatus } from '../../wrapper/rpc/definitions.js';
import { type FaultRegistry, sha256 } from '../support/fault-registry.js';
import { failure, type Request, TestDaemon } from '../support/test-daemon.js';

const layers = [Buffer.alloc(100_000, 'a'), Buffer.alloc(50_000, 'b')];
const ownUid = process.getuid?.() ?? -1;

describe('stowaged', () => {
  let daemon: TestDaemon;
  let directory: string;
  let registry: FaultRegistry;
  let log: Record<string, unknown>[];
  const prepare = (request?: Request) => daemon.prepare(request);
  const plan = (request?: Request) => daemon.plan(request);
  const redeem = (ticket: Uint8Array) => daemon.redeem(ticket);
  const running = async (): Promise<void> => {
    while (registry.count(/blobs/) === 0) await sleep(5);
  };

  beforeEach(async () => {
    daemon = await TestDaemon.start();
    ({ directory, registry, log } = daemon);
    registry.addImage('team/app', '1', { layers, config: { Env: ['A=b'], WorkingDir: '/w' } });
  });
  afterEach(() => daemon.end());

  it('answers with welcome, progress and one plan', async () => {
    const events = await prepare({ homeDirectory: '/home/a' });
    assert.equal(events[0]?.welcome?.protocol, protocol);
    assert.ok(events.slice(1, -1).every((event) => event.progress ?? event.layers));
    const answer = events.at(-1)?.plan;
    assert.equal(answer?.canonicalReference, `${registry.host}/team/app:1`);
    assert.deepEqual(
      answer.layers?.map(({ digest, sizeBytes }) => [digest, Number(sizeBytes)]),
      layers.map((layer) => [sha256(layer), layer.length]),
    );
    assert.equal(answer.workingDirectory, '/w');
    assert.equal(answer.config?.platform, `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`);
    assert.ok(answer.mounts?.some(({ source, optional }) => source === '/home/a' && optional));
    assert.ok(answer.environment?.some(({ name, value }) => name === 'A' && value === 'b'));
    assert.ok(Number(answer.budget?.maxBytes) > 0);
    assert.equal(answer.blobSocket, `${directory}/blobs.sock`);
  });

  it('logs one line per request', async () => {
    await prepare({ job: { jobId: 42, stepId: 3 } });
    await assert.rejects(prepare({ reference: 'user:s3cret@host.example/x' }));
    const [good, bad] = log;
    assert.equal(log.length, 2);
    assert.deepEqual([good?.job, good?.step, good?.uid, good?.downloadedBytes], [42, 3, ownUid, 150_000]);
    assert.equal(bad?.code, 'reference-malformed');
    assert.doesNotMatch(JSON.stringify(log), /s3cret/);
  });

  it('downloads each layer once for forty callers at once', async () => {
    await Promise.all(Array.from({ length: 40 }, () => plan()));
    for (const layer of layers) assert.equal(registry.count(new RegExp(sha256(layer))), 1);
  });

  it('asks nobody the second time', async () => {
    await plan();
    const before = registry.requests.length;
    await plan();
    assert.equal(registry.requests.length, before);
  });

  it('shows all steps of a job the same image when the tag moves', async () => {
    const pinned = await plan({ job: { jobId: 1 } });
    registry.addImage('team/app', '1', { layers: [Buffer.from('new')] });
    assert.equal((await plan({ job: { jobId: 1 } })).imageDigest, pinned.imageDigest);
  });

  it('asks again after an image that was of no use', async () => {
    registry.addImage('team/app', '1', { layers, manifest: { layers: [] } });
    const broken = prepare({ job: { jobId: 1 } });
    await assert.rejects(broken, failure(status.FAILED_PRECONDITION, 'image-unsupported', /no layers/));
    registry.addImage('team/app', '1', { layers });
    await plan({ job: { jobId: 1 } });
  });

  it('hands out the blobs once', async () => {
    const { blobTicket } = await plan();
    assert.ok(blobTicket);
    assert.equal(await redeem(blobTicket), 0);
    assert.equal(await redeem(blobTicket), 1);
  });

  it('hands out nothing for a wrong ticket, or for one with more behind it', async () => {
    const { blobTicket } = await plan();
    assert.equal(await redeem(Buffer.alloc(32)), 1);
    assert.equal(await redeem(Buffer.concat([blobTicket ?? Buffer.alloc(0), Buffer.alloc(1)])), 1);
  });

  it('downloads nothing when the caller has the tree already', async () => {
    const { imageDigest } = await plan({ unpackedDigests: [registry.addImage('team/app', '1', { layers })] });
    const answer = await plan({ unpackedDigests: [imageDigest ?? ''] });
    assert.equal(answer.blobTicket?.length ?? 0, 0);
    assert.equal(registry.count(new RegExp(sha256(layers[0] as Buffer))), 0);
  });

  it('names both sides when they do not fit', async () => {
    await assert.rejects(
      prepare({ client: { protocol: protocol + 1, software: 'stowage-enter 9.9' } }),
      failure(
        status.FAILED_PRECONDITION,
        'protocol-mismatch',
        new RegExp(`stowage-enter 9\\.9 speaks protocol ${protocol + 1}, stowaged .* speaks ${protocol};`),
      ),
    );
  });

  it('says that an image is not there', async () => {
    await assert.rejects(
      prepare({ reference: `${registry.host}/nosuch:1` }),
      failure(
        status.NOT_FOUND,
        'image-not-found',
        /image .*\/nosuch:1 not found: registry 127.* has no such repository, tag or digest/,
      ),
    );
  });

  it('keeps nothing of a layer with wrong bytes', async () => {
    registry.inject(new RegExp(sha256(layers[1] as Buffer)), {
      kind: 'replace',
      body: Buffer.alloc(50_000, 'x'),
    });
    await assert.rejects(
      prepare(),
      failure(status.DATA_LOSS, 'content-mismatch', /image .*\/team\/app:1 .*wrong bytes/),
    );
    const kept = await readdir(`${directory}/store/blobs/sha256`);
    assert.ok(!kept.includes(sha256(layers[1] as Buffer).slice('sha256:'.length)));
    await plan();
  });

  const refused: [string, Request][] = [
    ['a relative directory', { workingDirectory: 'x' }],
    ['a directory that climbs', { homeDirectory: '/home/../root' }],
    ['the host root', { hostDirectories: ['/'] }],
    ['65 directories', { hostDirectories: Array(65).fill('/a') }],
    ['a digest that is none', { unpackedDigests: ['sha256:../../x'] }],
  ];
  for (const [what, request] of refused) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(prepare(request), failure(status.INVALID_ARGUMENT, 'request-invalid', /./));
    });
  }

  it('refuses a message over 4 MiB and lives on', async () => {
    await assert.rejects(prepare({ reference: 'x'.repeat(5 * 1024 * 1024) }), {
      code: status.RESOURCE_EXHAUSTED,
    });
    while (log.length === 0) await sleep(5);
    assert.equal(log[0]?.event, 'call taken back before it said anything');
    await plan();
  });

  it('stops the download when the caller goes away', async () => {
    registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 2000 }, 10);
    const stream = daemon.call();
    stream.on('error', () => undefined);
    stream.resume();
    await running();
    stream.cancel();
    while (log.length === 0) await sleep(5);
    assert.equal(log[0]?.event, 'cancelled');
  });

  it('survives half a connection, noise, and a caller that vanishes', async () => {
    const idle = connect(`${directory}/api.sock`);
    const noise = connect(`${directory}/api.sock`, () => noise.write('GET / HTTP/1.1\r\n\r\n'));
    noise.on('error', () => undefined);
    const vanishing = connect(`${directory}/api.sock`, () => vanishing.destroy());
    await sleep(50);
    await plan();
    idle.destroy();
    noise.destroy();
  });

  it('answers the standard health check', async () => {
    const { path, requestSerialize, responseDeserialize } = healthService.check;
    const check = (service: string) =>
      new Promise((resolve, reject) => {
        daemon.grpc.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          { service },
          (error, answer) => (error ? reject(error) : resolve(answer?.status)),
        );
      });
    assert.equal(await check(''), ServingStatus.SERVING);
    assert.equal(await check('stowage.v1.ImageService'), ServingStatus.SERVING);
    await assert.rejects(check('nosuch'), { code: status.NOT_FOUND });
  });

  it('stops within five seconds in the middle of a download, and leaves no socket', async function () {
    this.timeout(8000);
    registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 2000 }, 10);
    const outcome = assert.rejects(prepare(), failure(status.UNAVAILABLE, 'daemon-stopping', /try again/));
    await running();
    const began = performance.now();
    await daemon.stopDaemon();
    assert.ok(performance.now() - began < 5000);
    await outcome;
    assert.ok(!existsSync(`${directory}/api.sock`) && !existsSync(`${directory}/blobs.sock`));
  });

  it('starts again where another was, and finds its blobs', async () => {
    await plan();
    await daemon.stopDaemon();
    await daemon.startDaemon();
    await plan();
    assert.equal(registry.count(new RegExp(sha256(layers[0] as Buffer))), 1);
  });

  it('keeps the sockets of a single user to that user', async () => {
    await daemon.stopDaemon();
    await daemon.startDaemon('mode = "single-user"');
    for (const socket of ['api.sock', 'blobs.sock'])
      assert.equal(statSync(join(directory, socket)).mode & 0o777, 0o600);
    await plan();
  });
});
