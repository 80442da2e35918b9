import assert from 'node:assert/strict';

import { parseReference } from '../../wrapper/image/reference.js';
import type { RegistryClient } from '../../wrapper/registry/client.js';
import { FaultRegistry, sha256 } from '../support/fault-registry.js';
import { isCode } from '../support/is-code.js';
import { askIn, download, heardIn, login, quickClient, quickLimits } from '../support/registry-session.js';

const layer = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251));
const descriptor = { mediaType: 'application/octet-stream', digest: sha256(layer), size: layer.length };

describe('mirrors', () => {
  let registry: FaultRegistry;
  let first: FaultRegistry;
  let second: FaultRegistry;
  let client: RegistryClient;
  const sentences: string[] = [];
  const waiting = heardIn(sentences);
  const reference = (name = 'team/app:1') => parseReference(`${registry.host}/${name}`);
  const read = (session = client.session()) => download(session, reference(), descriptor, waiting);

  beforeEach(async () => {
    [registry, first, second] = await Promise.all([
      FaultRegistry.start(),
      FaultRegistry.start(),
      FaultRegistry.start(),
    ]);
    client = quickClient({
      [registry.host]: { http: true, mirrors: [first.host, `${second.host}/cache/hub`] },
      [first.host]: { http: true },
      [second.host]: { http: true },
    });
    registry.addImage('team/app', '1', { layers: [layer] });
    sentences.length = 0;
  });
  afterEach(async () => {
    client.close();
    await Promise.all([registry, first, second].map((server) => server.stop()));
  });

  it('are tried in order, before the registry, with the prefix of the second', async () => {
    const digest = second.addImage('cache/hub/team/app', '1', { layers: [layer] });
    const session = client.session();
    assert.equal(await session.headManifest(reference(), waiting), digest);
    assert.equal((await session.manifest(reference(), waiting)).digest, digest);
    assert.ok((await read(session)).equals(layer));
    assert.equal(first.requests.length, 3);
    assert.equal(registry.requests.length, 0);
    assert.deepEqual(sentences, [], 'that an image is not there is no news');
  });

  it('answer for a tag, and are right even if the registry has moved on', async () => {
    const digest = first.addImage('team/app', '1', { layers: [layer], config: { Env: ['OLD=1'] } });
    assert.equal((await client.session().manifest(reference(), waiting)).digest, digest);
  });

  it('that fail are passed over with a word', async () => {
    first.inject(/./, { kind: 'status', status: 503 });
    second.inject(/./, { kind: 'web-page' });
    await client.session().manifest(reference(), waiting);
    assert.deepEqual(sentences, [
      `mirror ${first.host} is of no use: registry ${first.host} is out of order (HTTP 503); going on without it`,
      `mirror ${second.host} is of no use: registry ${second.host} answered with a web page; going on without it`,
    ]);
    assert.equal(registry.requests.length, 1);
  });

  it('that cannot be reached are left alone for a while', async () => {
    await first.stop();
    const session = client.session();
    await session.manifest(reference(), waiting);
    await session.manifest(reference(), waiting);
    assert.equal(sentences.length, 1);
    assert.match(sentences[0] ?? '', /^mirror .* connection refused; going on without it$/);
    first = await FaultRegistry.start();
  });

  it('that send something else are not believed: the digest decides', async () => {
    const { digest } = await client.session().manifest(reference(), waiting);
    first.addImage('team/app', '1', { layers: [layer] });
    first.inject(/manifests/, { kind: 'replace', body: Buffer.from('{}') });
    const pinned = reference(`team/app@${digest}`);
    assert.equal((await client.session().manifest(pinned, waiting)).digest, digest);
    assert.match(sentences[0] ?? '', /sent a manifest with digest/);
  });

  it('whose blob turned out to be another are not asked for it again', async () => {
    first.addImage('team/app', '1', { layers: [layer] });
    first.inject(/blobs/, { kind: 'replace', body: Buffer.alloc(layer.length) });
    const session = client.session();
    assert.notEqual(sha256(await read(session)), descriptor.digest);
    assert.equal(session.distrust(descriptor.digest), true);
    assert.equal(sha256(await read(session)), descriptor.digest);
    assert.equal(first.count(/blobs/), 1);
    assert.equal(session.distrust(descriptor.digest), false, 'what the registry itself sends stays wrong');
  });

  it('that break off in the middle leave the rest to the next', async () => {
    first.addImage('team/app', '1', { layers: [layer] });
    first.inject(/blobs/, { kind: 'truncate', bytes: 50_000 });
    assert.ok((await read()).equals(layer));
    assert.equal(first.count(/blobs/), 1);
    assert.match(registry.requests.at(-1)?.headers.range ?? '', /^bytes=[1-9]\d*-$/);
  });

  it('get the login for their own host, and the registry its own', async () => {
    first.addImage('team/app', '1', { layers: [layer] });
    first.requireBasic('ana', 'sesame');
    registry.requireBasic('ben', 'simsim');
    const asked: string[] = [];
    const session = client.session(
      askIn(asked, () => (asked.length === 1 ? login('wrong', 'x') : login('ben', 'simsim'))),
    );
    await session.manifest(reference(), waiting);
    assert.deepEqual(asked, [`${first.host} team/app`, `${registry.host} team/app`]);
    assert.match(sentences[0] ?? '', /refuses the login of wrong/);
    const sent = first.requests.map(({ headers }) => headers.authorization ?? '');
    assert.ok(!sent.includes(`Basic ${Buffer.from('ben:simsim').toString('base64')}`));
  });

  it('that are busy are tried again where the registry itself is out of reach', async () => {
    const wanted = reference();
    await registry.stop();
    first.addImage('team/app', '1', { layers: [layer] });
    first.inject(/./, { kind: 'status', status: 503 }, 2);
    await client.session().manifest(wanted, waiting);
    registry = await FaultRegistry.start();
  });

  it('leave the last word to the registry', async () => {
    await assert.rejects(
      client.session().manifest(reference('nosuch:1'), waiting),
      isCode('image-not-found', new RegExp(`registry ${registry.host} has no such`)),
    );
  });
});

describe('a registry in the settings', () => {
  it('that is blocked is not asked, nor are its mirrors', async () => {
    const registry = await FaultRegistry.start();
    const client = quickClient({
      'bad.example.org': { blocked: true, mirrors: [registry.host] },
      [registry.host]: { http: true },
    });
    try {
      for (const call of ['headManifest', 'manifest'] as const) {
        await assert.rejects(
          client.session()[call](parseReference('bad.example.org/app:1'), heardIn([])),
          isCode(
            'registry-blocked',
            /image bad.example.org\/app:1: registry bad.example.org is blocked on this site/,
          ),
        );
      }
      assert.equal(registry.requests.length, 0);
    } finally {
      client.close();
      await registry.stop();
    }
  });

  it('counts as set when the configuration is read again, and keeps what it was if that is wrong', async () => {
    const registry = await FaultRegistry.start();
    const client = quickClient({});
    try {
      registry.addImage('app', '1', { layers: [] });
      const session = client.session();
      const manifest = () => session.manifest(parseReference(`${registry.host}/app:1`), heardIn([]));
      await assert.rejects(manifest(), isCode('registry-unreachable', /HTTPS/));
      client.update({ limits: quickLimits, registries: { [registry.host]: { http: true } } });
      await manifest();
      assert.throws(
        () =>
          client.update({
            limits: quickLimits,
            registries: { 'a.example': { ca: '/nonexistent/ca.pem' } },
          }),
        isCode('config-invalid', /registries\."a\.example"\.ca: \/nonexistent\/ca\.pem cannot be read/),
      );
      await manifest();
    } finally {
      client.close();
      await registry.stop();
    }
  });

  for (const [what, settings, reason] of [
    ['a mirror with a scheme', { mirrors: ['https://m.example'] }, /mirrors: "https:\/\/m\.example" is not/],
    ['a mirror with "..", which is no repository', { mirrors: ['m.example/../x'] }, /mirrors/],
    [
      'a token service with a path',
      { tokenRealms: ['https://a.example/token'] },
      /token_realms: .* without anything/,
    ],
    ['a token service without a scheme', { tokenRealms: ['a.example'] }, /token_realms/],
    ['a token service with a password', { tokenRealms: ['https://u:p@a.example'] }, /token_realms/],
    ['an authority that is no certificate', { ca: 'package.json' }, /ca: package\.json holds no certificate/],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => quickClient({ 'a.example': settings as never }), isCode('config-invalid', reason));
    });
  }
});
