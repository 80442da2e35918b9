import assert from 'node:assert/strict';

import { status } from '@grpc/grpc-js';

import { AwaitedReports } from '../../wrapper/rpc/awaited-reports.js';
import {
  imageService,
  ProgressPhase,
  type ReportUnpackedRequestMessage,
  RequestedPull,
} from '../../wrapper/rpc/definitions.js';
import { StowageError } from '../../wrapper/error.js';
import { type RunningHandle, RunningRequests } from '../../wrapper/rpc/running.js';
import { client, failure, TestDaemon } from '../support/test-daemon.js';

describe('what stowaged writes down about requests', () => {
  let daemon: TestDaemon;
  let digest: string;

  beforeEach(async () => {
    daemon = await TestDaemon.start();
    digest = daemon.registry.addImage('team/app', '1', { layers: [Buffer.from('a layer')] });
  });
  afterEach(() => daemon.end());

  const events = (name: string) => daemon.log.filter(({ event }) => event === name);
  const report = (more: Partial<ReportUnpackedRequestMessage> = {}): Promise<object> => {
    const { path, requestSerialize, responseDeserialize } = imageService.reportUnpacked;
    const said = {
      client,
      imageDigest: digest,
      unpackMilliseconds: 1500,
      treeBytes: 9,
      treeInodes: 3,
      ...more,
    };
    return new Promise((resolve, reject) => {
      daemon.grpc.makeUnaryRequest(
        path,
        requestSerialize as (message: object) => Buffer,
        responseDeserialize,
        said,
        (error, answer) => {
          if (error) reject(error);
          else resolve(answer ?? assert.fail());
        },
      );
    });
  };

  it('names job, step, user, image, digest, bytes, phases, pull policy and prefetch', async () => {
    const job = { jobId: 42, stepId: 0xfffffffb };
    await daemon.plan({ job, pull: RequestedPull.PULL_POLICY_ALWAYS });
    const [line = {}] = events('prepared');
    const { ms, ...rest } = line as { ms: Record<string, number> };
    assert.deepEqual(
      { ...rest, time: undefined },
      {
        time: undefined,
        level: 'info',
        event: 'prepared',
        job: 42,
        step: 'batch',
        uid: process.getuid?.(),
        image: `${daemon.registry.host}/team/app:1`,
        digest,
        downloadedBytes: 7,
        pull: 'always',
      },
    );
    for (const phase of ['resolve', 'read', 'download', 'total'])
      assert.equal(typeof ms[phase], 'number', phase);
  });

  it('holds no line break and no password of a reference', async () => {
    await assert.rejects(daemon.prepare({ reference: 'a\nb\u001b[2J' }));
    await assert.rejects(daemon.prepare({ reference: 'user:s3cret@host.example/x' }));
    assert.equal(events('refused').length, 2);
    assert.doesNotMatch(JSON.stringify(daemon.log), /s3cret|\n/);
  });

  it('tells what became of a plan, once for each', async () => {
    await daemon.plan();
    await report({ job: { jobId: 7, stepId: 1 } });
    await report();
    assert.equal(events('unpacked').length, 1);
    const [line = {}] = events('unpacked');
    assert.deepEqual(
      [line.job, line.step, line.digest, line.treeBytes, line.treeInodes, line.ms],
      [7, 1, digest, 9, 3, { unpack: 1500 }],
    );
  });

  it('hears no reports that make no sense, or that nobody waits for', async () => {
    await report();
    await daemon.plan({ unpackedDigests: [digest] });
    await report();
    assert.deepEqual(events('unpacked'), []);
    const refused = failure(status.INVALID_ARGUMENT, 'request-invalid', /image_digest/);
    await assert.rejects(report({ imageDigest: '../x' }), refused);
  });
});

describe('AwaitedReports', () => {
  it('are one for each plan, of that user alone, and forgotten when there are too many', () => {
    const reports = new AwaitedReports();
    reports.add(1, 'a');
    reports.add(1, 'a');
    assert.deepEqual([reports.take(2, 'a'), reports.take(1, 'b')], [false, false]);
    assert.deepEqual(
      [1, 2, 3].map(() => reports.take(1, 'a')),
      [true, true, false],
    );
    reports.add(1, 'a');
    for (let i = 0; i < 10_000; i++) reports.add(2, String(i));
    assert.ok(!reports.take(1, 'a'));
  });
});

describe('RunningRequests', () => {
  it('lists those of one user or of all, until they end', () => {
    const running = new RunningRequests();
    const entry = (uid: number) => ({
      uid,
      job: { jobId: 1, stepId: 0, nodeName: '' },
      reference: 'x',
      progress: { phase: ProgressPhase.PHASE_RESOLVING },
      beganMs: 0,
      prefetch: false,
    });
    const [first, second] = [1, 2].map((uid) => {
      const handle = running.begin(() => undefined);
      handle.describe(entry(uid));
      return handle;
    }) as [RunningHandle, RunningHandle];
    first.update({ phase: ProgressPhase.PHASE_WAITING, detail: 'a turn' }, 'docker.io/library/x:1');
    assert.deepEqual(running.counts, { running: 1, waiting: 1 });
    assert.deepEqual(
      running.list(1).map(({ reference, progress }) => [reference, progress.detail]),
      [['docker.io/library/x:1', 'a turn']],
    );
    second.end();
    assert.deepEqual(
      running.list().map(({ uid }) => uid),
      [1],
    );
  });

  it('ends all that are under way, those too that have said nothing yet', () => {
    const running = new RunningRequests();
    const reasons: string[] = [];
    for (const name of ['first', 'second'])
      running.begin(({ message }) => void reasons.push(`${name}: ${message}`));
    running.begin(() => reasons.push('one that has ended')).end();
    assert.deepEqual([running.callCount, running.list()], [2, []]);
    running.abortAll(new StowageError('daemon-stopping', 'bye'));
    assert.deepEqual(reasons, ['first: bye', 'second: bye']);
  });
});
