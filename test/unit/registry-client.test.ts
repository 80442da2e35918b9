import assert from 'node:assert/strict';

import { parseReference } from '../../wrapper/image/reference.js';
import { parseChallenges } from '../../wrapper/registry/challenge.js';
import type { RegistryClient } from '../../wrapper/registry/client.js';
import { parseRetryAfter } from '../../wrapper/registry/patience.js';
import { sendFollowing } from '../../wrapper/registry/redirect.js';
import type { RegistrySession } from '../../wrapper/registry/session.js';
import { FaultRegistry, sha256 } from '../support/fault-registry.js';
import { isCode } from '../support/is-code.js';
import { download, quickClient, quickLimits } from '../support/registry-session.js';

const blobBytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251));
const descriptor = {
  mediaType: 'application/octet-stream',
  digest: sha256(blobBytes),
  size: blobBytes.length,
};
describe('RegistryClient', () => {
  let registry: FaultRegistry;
  let client: RegistryClient;
  let session: RegistrySession;
  const waits: string[] = [];
  const waiting = {
    signal: new AbortController().signal,
    onWait: (sentence: string) => void waits.push(sentence),
  };
  const reference = (name = 'team/app:1') => parseReference(`${registry.host}/${name}`);
  const read = () => download(session, reference(), descriptor, waiting);

  beforeEach(async () => {
    registry = await FaultRegistry.start();
    registry.addImage('team/app', '1', { layers: [blobBytes] });
    client = quickClient({ [registry.host]: { http: true } });
    session = client.session();
    waits.length = 0;
  });
  afterEach(async () => {
    client.close();
    await registry.stop();
  });

  it('fetches a manifest and tells its digest by HEAD', async () => {
    const manifest = await session.manifest(reference(), waiting);
    assert.equal(manifest.digest, sha256(manifest.bytes));
    assert.equal(await session.headManifest(reference(), waiting), manifest.digest);
  });

  it('counts its requests by method and what came of them', async () => {
    registry.inject(/manifests/, { kind: 'status', status: 503 });
    registry.inject(/manifests/, { kind: 'reset' });
    await session.manifest(reference(), waiting);
    await session.headManifest(reference(), waiting);
    const counted = client.exchanges.map(({ method, status, count }) => `${method} ${status} ${count}`);
    assert.deepEqual(counted.sort(), ['GET 2xx 1', 'GET 5xx 1', 'GET none 1', 'HEAD 2xx 1']);
  });

  it('leaves the answer to GET where HEAD is refused', async () => {
    registry.inject(/manifests/, { kind: 'status', status: 405 });
    assert.equal(await session.headManifest(reference(), waiting), undefined);
  });

  it('names image, registry and remedy when the image is not there', async () => {
    const expected = new RegExp(
      `image ${registry.host}/nosuch:1 not found: registry ${registry.host} has no such .* check the spelling`,
    );
    await assert.rejects(
      session.manifest(reference('nosuch:1'), waiting),
      isCode('image-not-found', expected),
    );
  });

  it('says that nobody listens', async () => {
    const wanted = reference();
    await registry.stop();
    await assert.rejects(
      session.manifest(wanted, waiting),
      isCode('registry-unreachable', /connection refused/),
    );
    registry = await FaultRegistry.start();
  });

  it('uses https unless http is configured, and says how to allow it', async () => {
    const strict = quickClient({});
    await assert.rejects(
      strict.session().manifest(reference(), waiting),
      isCode('registry-unreachable', /does not speak HTTPS.*http = true/),
    );
    strict.close();
    assert.equal(registry.requests.length, 0);
  });

  it('refuses a manifest that does not match the pinned digest, naming both', async () => {
    const { digest } = await session.manifest(reference(), waiting);
    registry.inject(/manifests/, { kind: 'replace', body: Buffer.from('{}') });
    await assert.rejects(
      session.manifest(reference(`team/app@${digest}`), waiting),
      isCode('content-mismatch', new RegExp(`${sha256(Buffer.from('{}'))}.*${digest}`)),
    );
  });

  it('refuses a manifest over 4 MiB', async () => {
    registry.inject(/manifests/, { kind: 'replace', body: Buffer.alloc(5 * 1024 * 1024) });
    await assert.rejects(session.manifest(reference(), waiting), isCode('image-malformed', /larger than/));
  });

  it('recognises a web page with status 200', async () => {
    registry.inject(/manifests/, { kind: 'web-page' });
    await assert.rejects(session.manifest(reference(), waiting), isCode('registry-misbehaving', /web page/));
  });

  it('tries again after 503, 429 and a reset connection, and says so', async () => {
    registry.inject(/manifests/, { kind: 'status', status: 503 });
    registry.inject(/manifests/, { kind: 'status', status: 429, headers: { 'retry-after': '3600' } });
    registry.inject(/manifests/, { kind: 'reset' });
    await session.manifest(reference(), waiting);
    const sentences = waits.filter((sentence) => sentence !== '');
    assert.equal(sentences.length, 3);
    assert.match(sentences[1] ?? '', /slow down.*trying again in 1 s/);
    assert.equal(waits.at(-1), '', 'says when a wait is over');
  });

  for (const status of [408, 429, 500, 502, 503, 504]) {
    it(`tries again after ${status}, and gives up in the end`, async () => {
      registry.inject(/manifests/, { kind: 'status', status }, 2);
      await session.manifest(reference(), waiting);
      registry.inject(/manifests/, { kind: 'status', status }, 10);
      await assert.rejects(
        session.manifest(reference(), waiting),
        isCode('registry-failing', new RegExp(`HTTP ${status}`)),
      );
      assert.equal(registry.count(/manifests/), 3 + 4);
    });
  }

  it('gives up after the last retry', async () => {
    registry.inject(/manifests/, { kind: 'status', status: 503 }, 10);
    await assert.rejects(session.manifest(reference(), waiting), isCode('registry-failing', /HTTP 503/));
    assert.equal(registry.count(/manifests/), 4);
  });

  it('stops waiting when its signal aborts', async () => {
    registry.inject(/manifests/, { kind: 'stall' });
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 20);
    await assert.rejects(session.manifest(reference(), { ...waiting, signal: controller.signal }), /enough/);
  });

  it('gets a token without credentials and uses it', async () => {
    registry.requireToken('t0ken');
    await session.manifest(reference(), waiting);
    const asked = registry.requests.find(({ url }) => url?.startsWith('/token'));
    assert.equal(asked?.url, '/token?service=test&scope=repository%3Ateam%2Fapp%3Apull');
    assert.equal(asked.headers.authorization, undefined);
  });

  it('refreshes a token once when it has expired', async () => {
    registry.requireToken('first');
    await session.manifest(reference(), waiting);
    registry.requireToken('second');
    await session.manifest(reference(), waiting);
    assert.equal(registry.count(/^\/token/), 2);
  });

  it('stops at a registry that refuses its own tokens', async () => {
    registry.requireToken('right', () => ({ status: 200, body: '{"token":"wrong"}' }));
    await assert.rejects(session.manifest(reference(), waiting), isCode('registry-denied', /wants a login/));
    assert.equal(registry.count(/^\/token/), 1);
  });

  for (const [what, body] of [
    ['an empty token', '{"token":""}'],
    ['a token with a line break', '{"token":"a\\r\\nb"}'],
    ['a token of more than 1 MiB', JSON.stringify({ token: 'x'.repeat(1024 * 1024) })],
  ] as const) {
    it(`refuses ${what}`, async () => {
      registry.requireToken('right', () => ({ status: 200, body }));
      await assert.rejects(session.manifest(reference(), waiting), isCode('registry-misbehaving', /token/));
    });
  }

  it('refuses a login that it has not got', async () => {
    registry.inject(/manifests/, {
      kind: 'status',
      status: 401,
      headers: { 'www-authenticate': 'Basic realm="x"' },
    });
    await assert.rejects(session.manifest(reference(), waiting), isCode('registry-denied', /wants a login/));
  });

  it('keeps the token from the host that a redirect leads to', async () => {
    const elsewhere = await FaultRegistry.start();
    try {
      elsewhere.addBlob('team/app', blobBytes);
      registry.requireToken('t0ken');
      await session.manifest(reference(), waiting);
      registry.inject(/blobs/, {
        kind: 'redirect',
        to: `http://${elsewhere.host}/v2/team/app/blobs/${descriptor.digest}`,
      });
      assert.ok((await read()).equals(blobBytes));
      assert.equal(registry.requests.at(-1)?.headers.authorization, 'Bearer t0ken');
      assert.equal(elsewhere.requests[0]?.headers.authorization, undefined);
    } finally {
      await elsewhere.stop();
    }
  });

  it('gives up after ten redirects', async () => {
    registry.inject(/manifests/, { kind: 'redirect', to: '/v2/team/app/manifests/1' }, 50);
    await assert.rejects(
      session.manifest(reference(), waiting),
      isCode('registry-misbehaving', /more than 10 times/),
    );
    assert.equal(registry.count(/manifests/), 11);
  });

  it('refuses a redirect to a file', async () => {
    registry.inject(/manifests/, { kind: 'redirect', to: 'file:///etc/passwd' });
    await assert.rejects(
      session.manifest(reference(), waiting),
      isCode('registry-misbehaving', /redirects to nowhere/),
    );
  });

  it('goes on with a blob while the configuration is read again', async () => {
    registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 1_000_000 });
    const { body } = await session.openBlob(reference(), descriptor.digest, { from: 0 }, waiting);
    const chunks: Buffer[] = [];
    for await (const chunk of body) {
      if (chunks.push(chunk) === 1)
        client.update({ limits: quickLimits, registries: { [registry.host]: { http: true } } });
    }
    assert.ok(Buffer.concat(chunks).equals(blobBytes));
    assert.equal(registry.count(/blobs/), 1);
    await session.manifest(reference(), waiting);
  });

  it('resumes a blob that breaks off, by Range', async () => {
    registry.inject(/blobs/, { kind: 'truncate', bytes: 70_000 });
    assert.ok((await read()).equals(blobBytes));
    assert.match(registry.requests.at(-1)?.headers.range ?? '', /^bytes=[1-9]\d*-$/);
  });

  it('starts over where Range is ignored', async () => {
    registry.inject(/blobs/, { kind: 'truncate', bytes: 70_000 });
    registry.inject(/blobs/, { kind: 'ignore-range' });
    assert.ok((await read()).equals(blobBytes));
  });

  it('refuses another range than it asked for', async () => {
    registry.inject(/blobs/, { kind: 'truncate', bytes: 70_000 });
    registry.inject(/blobs/, { kind: 'wrong-range' });
    await assert.rejects(read(), isCode('registry-misbehaving', /another part/));
  });

  it('stops one byte after the promised size', async () => {
    registry.inject(/blobs/, { kind: 'replace', body: Buffer.alloc(10_000_000), isChunked: true });
    assert.equal((await read()).length, descriptor.size + 1);
  });

  it('gives up on a registry that trickles', async () => {
    registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 100 }, 10);
    await assert.rejects(read(), isCode('registry-failing', /less than 1000 bytes per second/));
  });

  it('gives up on a registry that accepts and never answers', async () => {
    registry.inject(/blobs/, { kind: 'stall' }, 10);
    await assert.rejects(read(), isCode('registry-unreachable', /no answer within 0.3 s/));
  });

  it('names the layer that is missing', async () => {
    registry.inject(/blobs/, { kind: 'status', status: 404 });
    await assert.rejects(read(), isCode('image-not-found', new RegExp(`layer ${descriptor.digest}`)));
  });
});

describe('a redirect', () => {
  const signal = new AbortController().signal;
  const from = (url: string, location: string) => {
    const sent: string[] = [];
    const transport = {
      send: ({ url }: { url: URL }) => {
        sent.push(url.href);
        const headers = sent.length === 1 ? { location } : {};
        const status = sent.length === 1 ? 302 : 200;
        return Promise.resolve({ status, headers, url, body: nothing(), discard: () => undefined });
      },
    };
    const request = { url: new URL(url), method: 'GET' as const, headers: {}, registry: 'a.example', signal };
    return { sent, answer: sendFollowing(transport, request) };
  };

  it('does not give up encryption', async () => {
    const { sent, answer } = from('https://a.example/v2/', 'http://a.example/v2/');
    await assert.rejects(answer, isCode('registry-misbehaving', /give up encryption/));
    assert.equal(sent.length, 1);
  });

  for (const host of [
    'localhost',
    '127.0.0.1:8443',
    '[::1]',
    '169.254.169.254',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
  ]) {
    it(`does not lead a registry elsewhere to services of the node: ${host}`, async () => {
      const { sent, answer } = from('https://a.example/v2/', `https://${host}/inner?token=s3cret`);
      await assert.rejects(answer, isCode('registry-misbehaving', /which is this node itself/, /s3cret/));
      assert.equal(sent.length, 1);
    });
  }

  it('leads a registry of the node to its other port', async () => {
    const { sent, answer } = from('http://127.0.0.1:5000/v2/', 'http://127.0.0.1:9000/blob');
    await answer;
    assert.deepEqual(sent, ['http://127.0.0.1:5000/v2/', 'http://127.0.0.1:9000/blob']);
  });
});

async function* nothing(): AsyncGenerator<Buffer> {}

describe('headers of registries', () => {
  it('finds the Bearer challenge among others', () => {
    const [basic, bearer] = parseChallenges('Basic realm="x, y", Bearer realm="https://a/t",service="s\\"q"');
    assert.equal(basic?.scheme, 'basic');
    assert.equal(bearer?.parameters.get('realm'), 'https://a/t');
    assert.equal(bearer.parameters.get('service'), 's"q');
  });

  it('reads Retry-After as seconds, as a date and not at all', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    assert.equal(parseRetryAfter('7', now), 7000);
    assert.equal(parseRetryAfter('Thu, 01 Jan 2026 00:00:09 GMT', now), 9000);
    assert.equal(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now), 0);
    assert.equal(parseRetryAfter('soon', now), undefined);
  });
});
