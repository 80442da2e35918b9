import assert from 'node:assert/strict';

import { parseReference } from '../../wrapper/image/reference.js';
import type { RegistryClient } from '../../wrapper/registry/client.js';
import { RegistryError } from '../../wrapper/registry/error.js';
import { parseRetryAfter, Patience } from '../../wrapper/registry/patience.js';
import { FaultRegistry, sha256 } from '../support/fault-registry.js';
import { isCode } from '../support/is-code.js';
import { askIn, heardIn, login, quickClient } from '../support/registry-session.js';

const errors = (code: string, message: string) => JSON.stringify({ errors: [{ code, message, detail: {} }] });

describe('what a registry says when it refuses', () => {
  let registry: FaultRegistry;
  let client: RegistryClient;
  const waiting = heardIn([]);
  const layer = Buffer.from('a layer');
  const reference = () => parseReference(`${registry.host}/team/app:1`);
  const manifest = (digest = '') =>
    client
      .session()
      .manifest(digest === '' ? reference() : parseReference(`${registry.host}/team/app@${digest}`), waiting);

  beforeEach(async () => {
    registry = await FaultRegistry.start();
    registry.addImage('team/app', '1', { layers: [layer] });
    client = quickClient({ [registry.host]: { http: true } });
  });
  afterEach(async () => {
    client.close();
    await registry.stop();
  });

  const rows: [number, string, string, Parameters<typeof isCode>[0], RegExp][] = [
    [
      404,
      'NAME_UNKNOWN',
      'no such repo',
      'image-not-found',
      /has no repository team\/app \(it says "no such repo"\)/,
    ],
    [404, 'MANIFEST_UNKNOWN', '', 'image-not-found', /has no tag 1 in team\/app;/],
    [404, 'WHATEVER', '', 'image-not-found', /has no such repository, tag or digest/],
    [
      403,
      'DENIED',
      'members only',
      'registry-denied',
      /wants a login \(it says "members only"\); run 'podman login/,
    ],
    [401, 'UNAUTHORIZED', 'who are you', 'registry-denied', /wants a login/],
    [403, 'TOOMANYREQUESTS', 'slow', 'registry-failing', /slow down \(HTTP 429\) \(it says "slow"\)/],
    [400, 'UNSUPPORTED', 'no', 'registry-misbehaving', /makes no sense \(HTTP 400\) \(it says "no"\)/],
    [507, 'UNKNOWN', 'full', 'registry-misbehaving', /HTTP 507\) \(it says "full"\)/],
  ];
  for (const [status, code, message, expected, reason] of rows) {
    it(`is made one sentence: ${status} ${code}`, async () => {
      registry.inject(/./, { kind: 'status', status, body: errors(code, message) }, 10);
      await assert.rejects(manifest(), isCode(expected, reason));
    });
  }

  it('speaks of the digest where that was asked for', async () => {
    registry.inject(/./, { kind: 'status', status: 404, body: errors('MANIFEST_UNKNOWN', '') }, 10);
    const digest = `sha256:${'0'.repeat(64)}`;
    await assert.rejects(
      manifest(digest),
      isCode('image-not-found', /has no image of this digest in team\/app;/),
    );
  });

  it('is escaped and cut', async () => {
    const message = `\u001b[31mred\n${'x'.repeat(10_000)}`;
    registry.inject(/./, { kind: 'status', status: 403, body: errors('DENIED', message) });
    await assert.rejects(manifest(), (error: Error) => {
      assert.ok(error.message.includes('"\\u001b[31mred\\u000axxx'), error.message);
      assert.ok(error.message.length < 600);
      return true;
    });
  });

  for (const [what, body] of [
    ['is no JSON', '<html>Forbidden</html>'],
    ['is JSON of another kind', '[1,2]'],
    ['has errors of another kind', '{"errors":["no"]}'],
    ['is long', errors('DENIED', 'x'.repeat(100_000))],
  ] as const) {
    it(`is left out if it ${what}`, async () => {
      registry.inject(/./, { kind: 'status', status: 403, body });
      await assert.rejects(manifest(), isCode('registry-denied', /wants a login; run/));
    });
  }

  it('is not repeated with a token or a signature in it', async () => {
    registry.requireToken('t0ken-of-ana');
    await client.session().manifest(reference(), waiting);
    const message = 'no t0ken-of-ana';
    registry.inject(/manifests/, { kind: 'status', status: 403, body: errors('DENIED', message) });
    await assert.rejects(manifest(), isCode('registry-denied', /wants a login; run/, /t0ken-of/));
    const url = 'see https://u:pass@s3.example/x?X-Signature=s1gned&y=2 for Bearer abcdefghijkl';
    registry.inject(/manifests/, { kind: 'status', status: 403, body: errors('DENIED', url) });
    await assert.rejects(manifest(), isCode('registry-denied', /see https/, /s1gned|pass@|abcdefghijkl/));
  });

  it('is not taken from a place that the registry leads to', async () => {
    const elsewhere = await FaultRegistry.start();
    try {
      elsewhere.inject(/./, { kind: 'status', status: 400, body: errors('X', 'inner secrets of a service') });
      registry.inject(/./, { kind: 'redirect', to: `${elsewhere.origin}/` });
      await assert.rejects(
        manifest(),
        isCode('registry-misbehaving', new RegExp(`^${elsewhere.host}, where registry .* leads to`), /inner/),
      );
    } finally {
      await elsewhere.stop();
    }
  });

  it('with 429 tells those without a login to log in, and others to wait', async () => {
    registry.inject(/manifests/, { kind: 'status', status: 429 }, 4);
    await assert.rejects(
      manifest(),
      isCode('registry-failing', /try again later, or log in with 'podman login/),
    );
    registry.requireBasic('ana', 'sesame');
    const session = client.session(askIn([], () => login('ana', 'sesame')));
    await session.manifest(reference(), waiting);
    registry.inject(/manifests/, { kind: 'status', status: 429 }, 4);
    await assert.rejects(
      session.manifest(reference(), waiting),
      isCode('registry-failing', /; try again later$/),
    );
  });

  for (const status of [405, 501, 404, 400]) {
    it(`to HEAD with ${status} is left to GET`, async () => {
      registry.inject(/manifests/, { kind: 'status', status });
      assert.equal(await client.session().headManifest(reference(), waiting), undefined);
      assert.equal((await manifest()).bytes.length > 0, true);
    });
  }

  it('to HEAD with 401 and not a word of how to log in is left to GET', async () => {
    registry.inject(/manifests/, { kind: 'status', status: 401 });
    const asked: string[] = [];
    const session = client.session(askIn(asked, () => undefined));
    assert.equal(await session.headManifest(reference(), waiting), undefined);
    assert.deepEqual(asked, []);
  });

  it('to HEAD with 503 is asked again', async () => {
    registry.inject(/manifests/, { kind: 'status', status: 503 }, 2);
    assert.match((await client.session().headManifest(reference(), waiting)) ?? '', /^sha256:/);
    assert.equal(registry.count(/manifests/), 3);
  });

  describe('part of a blob', () => {
    const range = async (from: number, to?: number) => {
      const answer = await client
        .session()
        .openBlob(reference(), sha256(layer), { from, ...(to === undefined ? {} : { to }) }, waiting);
      const chunks: Buffer[] = [];
      for await (const chunk of answer.body) chunks.push(chunk);
      return { ...answer, text: Buffer.concat(chunks).toString() };
    };

    it('is told from the whole', async () => {
      const { from, totalBytes, partial, text } = await range(2, 4);
      assert.deepEqual(
        { from, totalBytes, partial, text },
        { from: 2, totalBytes: 7, partial: true, text: 'lay' },
      );
      assert.equal((await range(0, 0)).text, 'a');
      assert.equal((await range(3)).text, 'ayer');
      const whole = await range(0);
      assert.deepEqual([whole.partial, whole.text], [false, 'a layer']);
    });

    it('begins at 0 where Range is ignored', async () => {
      registry.inject(/blobs/, { kind: 'ignore-range' });
      const { from, partial, totalBytes, text } = await range(2, 4);
      assert.deepEqual([from, partial, totalBytes, text], [0, false, 7, 'a layer']);
    });

    for (const header of ['bytes 1-3/7', 'bytes 2-6/7', 'bytes */7', 'nonsense', undefined]) {
      it(`is refused if it is another: ${header}`, async () => {
        const headers = header === undefined ? {} : { 'content-range': header };
        registry.inject(/blobs/, { kind: 'status', status: 206, headers });
        await assert.rejects(range(2, 3), isCode('registry-misbehaving', /another part/));
      });
    }

    it('is refused where the whole was asked for', async () => {
      registry.inject(/blobs/, { kind: 'status', status: 206, headers: { 'content-range': 'bytes 0-3/7' } });
      await assert.rejects(range(0), isCode('registry-misbehaving', /another part/));
    });
  });
});

describe('the pause between two attempts', () => {
  it('doubles, is random by half, and ends at the longest', async () => {
    const { random } = Math;
    const pauses: number[] = [];
    const limits = { retries: 6, firstPauseMs: 4000, longestPauseMs: 20_000 };
    for (const value of [0, 0.999]) {
      Math.random = () => value;
      try {
        const controller = new AbortController();
        const patience = new Patience(limits, controller.signal, (sentence) => {
          pauses.push(Number(/trying again in (\d+) s$/.exec(sentence)?.[1]));
        });
        controller.abort(new Error('no time'));
        for (let attempt = 0; attempt < 4; attempt++) {
          const busy = new RegistryError('registry-failing', 'it is busy', { retryable: true });
          await assert.rejects(patience.pauseAfter(busy));
        }
      } finally {
        Math.random = random;
      }
    }
    assert.deepEqual(pauses, [2, 4, 8, 10, 4, 8, 16, 20]);
  });
});

describe('Retry-After', () => {
  const limits = { retries: 1, firstPauseMs: 20, longestPauseMs: 60 };
  const pause = async (retryAfterMs: number | undefined): Promise<{ sentence: string; ms: number }> => {
    const sentences: string[] = [];
    const patience = new Patience(limits, new AbortController().signal, (sentence) =>
      sentences.push(sentence),
    );
    const began = performance.now();
    await patience.pauseAfter(
      new RegistryError('registry-failing', 'it is busy; try again later', { retryable: true, retryAfterMs }),
    );
    return { sentence: sentences[0] ?? '', ms: performance.now() - began };
  };

  it('is waited for', async () => {
    assert.ok((await pause(40)).ms >= 39);
  });

  it('that is huge is capped, saying so', async () => {
    const { sentence } = await pause(3_600_000);
    assert.equal(sentence, 'it is busy; trying again in 1 s, though it asks for 3600 s');
  });

  it('of nothing is no reason to hurry', async () => {
    assert.ok((await pause(0)).ms >= 9, 'half of the first pause');
  });

  const now = Date.parse('2026-01-01T00:00:00Z');
  for (const [header, expected] of [
    ['7', 7000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:00:09 GMT', 9000],
    ['Thursday, 01-Jan-26 00:00:09 GMT', 9000],
    ['Thu Jan  1 00:00:09 2026 GMT', 9000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['-5', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['', undefined],
  ] as const) {
    it(`is understood: ${header}`, () => assert.equal(parseRetryAfter(header, now), expected));
  }

  for (const header of ['9'.repeat(400), 'Fri, 31 Dec 9999 23:59:59 GMT']) {
    it(`is a number that can be reckoned with: ${header.slice(0, 20)}…`, () => {
      const ms = parseRetryAfter(header, now) ?? NaN;
      assert.ok(Number.isSafeInteger(ms) && ms > 3_600_000);
    });
  }
});
