import assert from 'node:assert/strict';

import { status } from '@grpc/grpc-js';

import { stowage } from '#proto';

import { FaultRegistry, sha256 } from '../support/fault-registry.js';
import { failure, type Request, TestDaemon } from '../support/test-daemon.js';
import { TestUser } from '../support/test-user.js';

const secret = 's3cret-of-ann';
const layers = [Buffer.alloc(100_000, 'a'), Buffer.alloc(50_000, 'b')];
const denied = failure(status.PERMISSION_DENIED, 'registry-denied', /./);
const notFound = failure(status.NOT_FOUND, 'image-not-found', /./);

describe('stowaged, with private images', () => {
  let daemon: TestDaemon;
  let registry: FaultRegistry;
  /** Of ann's image, which only ann's login opens. */
  let digest: string;
  let ann: TestUser;
  /** Has an account at the same registry, which opens nothing of ann's. */
  let bob: TestUser;

  const connect = async (): Promise<void> => {
    const { host } = registry;
    ann = await TestUser.connect(daemon, 1001, { [host]: { username: 'ann', password: secret } });
    bob = await TestUser.connect(daemon, 1002, { [host]: { username: 'bob', password: 'of-bob' } });
  };
  const restart = async (more: string): Promise<void> => {
    for (const user of [ann, bob]) user.leave();
    await daemon.stopDaemon();
    await daemon.startDaemon(more);
    await connect();
  };
  /** A manifest of bob's own that names a layer of ann's, of which bob has no bytes. */
  const pushManifestOfTheft = (to: FaultRegistry, repository: string): void => {
    const [layer = Buffer.alloc(0)] = layers;
    const config = Buffer.from(
      JSON.stringify({
        os: 'linux',
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        rootfs: { type: 'layers', diff_ids: [sha256(layer)] },
        config: {},
      }),
    );
    const describe = (bytes: Buffer, mediaType: string) => ({
      mediaType,
      digest: sha256(bytes),
      size: bytes.length,
    });
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    to.addBlob(repository, config);
    to.addManifest(
      repository,
      '1',
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType,
          config: describe(config, 'application/vnd.oci.image.config.v1+json'),
          layers: [describe(layer, 'application/vnd.oci.image.layer.v1.tar')],
        }),
      ),
      mediaType,
    );
  };
  const fetchManifest = async () => {
    const headers = { authorization: `Basic ${btoa(`ann:${secret}`)}` };
    const answer = await fetch(`http://${registry.host}/v2/ann/secret/manifests/1`, { headers });
    return {
      body: Buffer.from(await answer.arrayBuffer()),
      type: answer.headers.get('content-type') ?? '',
    };
  };
  /** What an attempt asks registries, which is all that can be seen or timed of it from outside. */
  const asked = async (attempt: () => Promise<unknown>, of = [registry]): Promise<string[]> => {
    const before = of.map(({ requests }) => requests.length);
    await attempt();
    return of.flatMap(({ requests }, i) =>
      requests.slice(before[i]).map(({ method, url }) => `${method} ${url}`),
    );
  };

  beforeEach(async () => {
    daemon = await TestDaemon.start();
    ({ registry } = daemon);
    digest = registry.addImage('ann/secret', '1', { layers, config: { Env: ['PASSWORD=of-ann'] } });
    registry.makePrivate('ann/secret', 'ann', secret);
    for (const name of ['bob/1', 'bob/2']) registry.makePrivate(name, 'bob', 'of-bob');
    await connect();
  });
  afterEach(async () => {
    for (const user of [ann, bob]) user.leave();
    await daemon.end();
  });

  const image = (name = 'ann/secret:1', host = registry.host): Request => ({ reference: `${host}/${name}` });

  it('pulls with the login that it asks for, and writes nothing of it down', async () => {
    const { blobTicket, imageDigest } = await ann.plan(image());
    assert.equal(imageDigest, digest);
    assert.equal(await ann.redeem(blobTicket), 0);
    assert.doesNotMatch(JSON.stringify(daemon.log), new RegExp(`${secret}|${btoa(`ann:${secret}`)}`));
  });

  it('pulls with a login that a token service wants', async () => {
    const authorization = `Basic ${btoa(`ann:${secret}`)}`;
    registry.addImage('team/app', '1', { layers });
    registry.requireToken('token-of-ann', ({ headers }) =>
      headers.authorization === authorization
        ? { status: 200, body: JSON.stringify({ token: 'token-of-ann' }) }
        : { status: 401, body: '{}' },
    );
    assert.equal(await ann.redeem((await ann.plan()).blobTicket), 0);
    await assert.rejects(bob.plan(), { code: status.PERMISSION_DENIED });
    assert.doesNotMatch(JSON.stringify(daemon.log), /token-of-ann/);
  });

  it('does not ask for a login where none is needed', async () => {
    registry.addImage('team/app', '1', { layers });
    const events = await ann.prepare();
    assert.ok(!events.some(({ loginWanted }) => loginWanted));
  });

  it("lets nobody spend another user's ticket", async () => {
    const { blobTicket } = await ann.plan(image());
    assert.equal(await bob.redeem(blobTicket), 1);
    assert.equal(await ann.redeem(blobTicket), 0);
  });

  it('names the login that was refused, and where it is from', async () => {
    await assert.rejects(
      bob.plan(image()),
      failure(status.PERMISSION_DENIED, 'login-refused', /bob.*auth\.json/),
    );
  });

  const thefts: [string, (stranger: TestUser) => Promise<unknown>][] = [
    ['by its tag', (stranger) => assert.rejects(stranger.plan(image()), denied)],
    ['by its digest', (stranger) => assert.rejects(stranger.plan(image(`ann/secret@${digest}`)), denied)],
    [
      'by saying that the tree is there already',
      (stranger) => assert.rejects(stranger.plan({ ...image(), unpackedDigests: [digest] }), denied),
    ],
    [
      'for the sake of a job of ann',
      (stranger) => assert.rejects(stranger.plan({ ...image(), job: { jobId: 7 } }), denied),
    ],
    [
      'without asking the registry',
      (stranger) =>
        assert.rejects(
          stranger.plan({ ...image(), pull: stowage.v1.PullPolicy.PULL_POLICY_NEVER }),
          failure(status.NOT_FOUND, 'not-on-node', /you have not used it here before/),
        ),
    ],
    [
      'while the registry cannot be reached',
      (stranger) => {
        registry.inject(/ann/, { kind: 'reset' });
        return assert.rejects(stranger.plan(image()), { code: status.UNAVAILABLE });
      },
    ],
  ];
  for (const [how, attempt] of thefts) {
    it(`does not give a private image away ${how}, and what is asked for it tells nobody whether it is here`, async () => {
      await restart('[download]\nretries = 0');
      const stranger = await TestUser.connect(daemon, 1003);
      const before = await asked(() => attempt(stranger));
      await ann.plan({ ...image(), job: { jobId: 7 } });
      assert.deepEqual(await asked(() => attempt(stranger)), before);
      stranger.leave();
    });
  }

  describe("at a registry of the stranger's own", () => {
    let own: FaultRegistry;
    beforeEach(async () => {
      own = await FaultRegistry.start();
      await restart(`[registries."${own.host}"]\nhttp = true`);
    });
    afterEach(() => own.stop());

    for (const [where, to] of [
      ['there', () => own],
      ['at the same registry', () => registry],
    ] as const) {
      it(`gives no layer to a manifest ${where} that names it, and tells nobody whether it is here`, async () => {
        for (const name of ['bob/1', 'bob/2']) pushManifestOfTheft(to(), name);
        const steal = async (name: string) => {
          const requests = await asked(
            () => assert.rejects(bob.plan(image(`${name}:1`, to().host)), notFound),
            [registry, own],
          );
          return requests.map((request) => request.replace(name, 'REPOSITORY')).sort();
        };
        const before = await steal('bob/1');
        await ann.plan(image());
        assert.deepEqual(await steal('bob/2'), before);
        assert.ok(before.every((request) => request.includes('/v2/REPOSITORY/')));
      });
    }

    it('shows the configuration to nobody who has only a copy of the manifest', async () => {
      const { body, type } = await fetchManifest();
      await ann.plan(image());
      for (const to of [own, registry]) {
        assert.equal(to.addManifest('bob/1', '1', body, type), digest);
        const request = { ...image('bob/1:1', to.host), unpackedDigests: [digest] };
        await assert.rejects(bob.plan(request), notFound);
      }
    });

    it('gives nothing to who only claims to have the manifest', async () => {
      await ann.plan(image());
      const claim = { kind: 'status', status: 200, headers: { 'docker-content-digest': digest } } as const;
      own.inject(/manifests/, claim);
      await assert.rejects(bob.plan(image('bob/claim:1', own.host)), notFound);
      own.inject(/manifests/, claim);
      await assert.rejects(bob.plan(image(`bob/claim@${digest}`, own.host)), notFound);
    });
  });

  for (const name of ['ann/secret:1', 'ann/secret@']) {
    it(`refuses ${name.slice(0, 12)} to who could pull it before, once that was taken away`, async () => {
      await restart('[resolve]\nttl_seconds = 0');
      const request = image(name.endsWith('@') ? `${name}${digest}` : name);
      await ann.plan(request);
      await ann.plan(request);
      registry.makePrivate('ann/secret', 'ann', 'another');
      await assert.rejects(
        ann.plan(request),
        failure(status.PERMISSION_DENIED, 'login-refused', /ann.*auth\.json/),
      );
    });
  }
});
