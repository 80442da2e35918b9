import assert from 'node:assert/strict';
import fs from 'node:fs';

import type { stowage } from '#proto';

import type { PrepareRequestMessage, PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import { eachInEnterSandbox, image } from '../support/enter-sandbox.js';
import { listenGrpc, welcome } from '../support/fake-daemon.js';
import { digestOf } from '../unpack/sandbox.js';

type Report = stowage.v1.ReportUnpackedRequest;

const canonicalReference = 'registry.example/team/app:1.0';

describe('stowage-enter, with what the plan says', () => {
  const sandbox = eachInEnterSandbox();
  let requests: PrepareRequestMessage[];
  let reports: Report[];

  const serve = async (
    plan: NonNullable<PrepareResponseMessage['plan']>,
    onReport?: (report: Report, answer: () => void) => void,
  ): Promise<void> => {
    requests = [];
    reports = [];
    const take = (report: Report, answer: () => void): void => {
      reports.push(report);
      if (onReport) onReport(report, answer);
      else answer();
    };
    await sandbox().serve(
      listenGrpc(
        sandbox().socket,
        (call) => {
          requests.push(call.request);
          call.write(welcome);
          call.write({ plan: { canonicalReference, workingDirectory: '/', ...plan } });
          call.end();
        },
        take,
      ),
    );
  };

  it('asks the registry when the user wants it to', async () => {
    const imageDigest = sandbox().makeTree();
    await serve({ imageDigest });
    await sandbox().succeed();
    for (const policy of ['missing', 'always', 'never'])
      await sandbox().succeed({ options: ['--pull', policy] });
    assert.deepEqual(
      requests.map(({ pull, prefetch }) => [pull, prefetch]),
      [0, 1, 2, 3].map((pull) => [pull, false]),
    );
  });

  it('hands on a notice at once, without control characters', async () => {
    const imageDigest = sandbox().makeTree();
    await serve({ imageDigest, notice: 'running what it was\x1b[2J yesterday' });
    const { stderr, status } = await sandbox().enter();
    assert.equal(status, 0);
    assert.equal(stderr, `stowage: node1: ${image}: running what it was?[2J yesterday\n`);
  });

  it('says which digest runs if it is asked to', async () => {
    const imageDigest = sandbox().makeTree();
    await serve({ imageDigest });
    const { stderr } = await sandbox().enter({ options: ['--show-digest'] });
    assert.equal(stderr, `stowage: node1: ${canonicalReference} is ${imageDigest}\n`);
    assert.equal((await sandbox().enter()).stderr, '');
  });

  describe('when it has unpacked an image', () => {
    const imageDigest = digestOf(Buffer.from('unpacked'));

    const file = (): string => {
      const name = `${sandbox().directory}/image.tar`;
      fs.writeFileSync(name, 'content');
      sandbox().giveToUser(name);
      return name;
    };

    /** What identifies any file as a root file system with the digest. */
    const unpacker = [
      'if test "$1" = --identify; then',
      ...['kind=tar', `digest=${imageDigest}`, 'size=7'].map((line) => `printf '%s\\0' '${line}'`),
      'else mkdir $root/bin; fi',
    ].join('\n');

    it('reports it, once', async () => {
      await serve({ imageDigest, budget: {} });
      sandbox().replaceUnpacker(unpacker);
      const name = file();
      await sandbox().succeed({ image: name });
      await sandbox().succeed({ image: name });
      assert.equal(reports.length, 1);
      const [report] = reports;
      assert.ok(report);
      assert.equal(report.imageDigest, imageDigest);
      assert.equal(report.client?.protocol, 5);
      assert.equal(report.job?.jobId, 7);
      assert.ok(Number(report.unpackMilliseconds) > 0);
      assert.deepEqual([Number(report.treeBytes), Number(report.treeInodes)], [0, 0]);
    });

    it('does not mind a report that is not taken', async () => {
      await serve({ imageDigest, budget: {} }, () => undefined);
      sandbox().replaceUnpacker(unpacker);
      await sandbox().succeed({ image: file() });
      assert.equal(reports.length, 1);
    });
  });
});
