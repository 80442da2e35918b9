import assert from 'node:assert/strict';

import { stowage } from '#proto';

import type { ErrorCode } from '../../wrapper/error.js';
import { checkReport, checkRequest, shownReference } from '../../wrapper/rpc/request.js';
import { isCode } from '../support/is-code.js';
import { client } from '../support/test-daemon.js';

const { PrepareRequest, ReportUnpackedRequest, PullPolicy } = stowage.v1;
const imageDigest = `sha256:${'a'.repeat(64)}`;

const refused = (work: () => unknown, code: ErrorCode, reason: RegExp): void =>
  assert.throws(work, isCode(code, reason));

describe('checkRequest', () => {
  it('takes the pull policy, and leaves it to the site if there is none', () => {
    const pullOf = (pull: stowage.v1.PullPolicy) => checkRequest(new PrepareRequest({ client, pull })).pull;
    assert.deepEqual(
      Object.values(PullPolicy)
        .filter((value) => typeof value === 'number')
        .map(pullOf),
      [undefined, 'missing', 'always', 'never'],
    );
    refused(
      () => checkRequest(Object.assign(new PrepareRequest({ client }), { pull: 4 })),
      'request-invalid',
      /pull names no policy/,
    );
  });

  it('refuses to prefetch what is in a file', () =>
    refused(
      () => checkRequest(new PrepareRequest({ client, prefetch: true, local: {} })),
      'request-invalid',
      /prefetch is for images of registries/,
    ));
});

describe('shownReference', () => {
  it('shows no part of a password, however long', () => {
    const shown = (reference: string) => shownReference(new PrepareRequest({ reference }));
    assert.equal(shown(`user:${'secret'.repeat(100)}@host/app:1`), '***@host/app:1');
    assert.equal(shown(`host/${'a'.repeat(1000)}`).length, 300);
  });
});

describe('checkReport', () => {
  const report = { client, imageDigest, unpackMilliseconds: 1500, treeBytes: 2 ** 40, treeInodes: 7 };
  // Through the wire, so that numbers are what protobufjs makes of them.
  const check = (more: object) =>
    checkReport(ReportUnpackedRequest.decode(ReportUnpackedRequest.encode({ ...report, ...more }).finish()));

  it('takes a report', () => {
    assert.deepEqual(check({ job: { jobId: 1, stepId: 2, nodeName: 'n' } }), {
      job: { jobId: 1, stepId: 2, nodeName: 'n' },
      imageDigest,
      unpackMs: 1500,
      treeBytes: 2 ** 40,
      treeInodes: 7,
    });
  });

  it('refuses another protocol, a digest that is none, and numbers beyond reason', () => {
    refused(() => check({ client: { protocol: 1 } }), 'protocol-mismatch', /do not fit/);
    refused(() => check({ imageDigest: 'sha256:../x' }), 'request-invalid', /image_digest is not a digest/);
    const most = { low: -1, high: -1, unsigned: true };
    refused(() => check({ treeBytes: most }), 'request-invalid', /tree_bytes is more than can be/);
  });
});
