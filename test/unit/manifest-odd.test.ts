/** Images that are odd or wrong, from a registry through stowaged: what becomes a plan, and what a sentence. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import { status } from '@grpc/grpc-js';

import { FaultRegistry, sha256 } from '../support/fault-registry.js';
import { failure, TestDaemon } from '../support/test-daemon.js';

const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
const ociIndex = 'application/vnd.oci.image.index.v1+json';
const layerType = 'application/vnd.oci.image.layer.v1.tar';
const configType = 'application/vnd.oci.image.config.v1+json';
const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
const layer = Buffer.from('the only layer');

describe('stowaged, with an image that', () => {
  let daemon: TestDaemon;
  let registry: FaultRegistry;
  const repository = 'team/app';

  beforeEach(async () => {
    daemon = await TestDaemon.start();
    ({ registry } = daemon);
    await daemon.stopDaemon();
    await daemon.startDaemon('[download]\nretries = 0\n');
  });
  afterEach(() => daemon.end());

  const configOf = (layers: readonly Buffer[], more: object = {}): Buffer =>
    Buffer.from(
      JSON.stringify({
        os: 'linux',
        architecture,
        rootfs: { type: 'layers', diff_ids: layers.map(sha256) },
        ...more,
      }),
    );
  const descriptorOf = (bytes: Buffer, mediaType: string, more: object = {}): object => ({
    mediaType,
    digest: sha256(bytes),
    size: bytes.length,
    ...more,
  });
  /** An image of one layer, of which the descriptors say something else; returns its digest. */
  const push = (changes: { config?: object; layer?: object } = {}, tag = '1'): string => {
    const config = configOf([layer]);
    registry.addBlob(repository, layer);
    registry.addBlob(repository, config);
    const manifest = {
      schemaVersion: 2,
      mediaType: ociManifest,
      config: descriptorOf(config, configType, changes.config),
      layers: [descriptorOf(layer, layerType, changes.layer)],
    };
    return registry.addManifest(repository, tag, Buffer.from(JSON.stringify(manifest)), ociManifest);
  };
  const refuses = (stowageCode: string, code: status, reason: RegExp): Promise<void> =>
    assert.rejects(daemon.plan(), failure(code, stowageCode, reason));

  it('names addresses of layers elsewhere: they are never fetched', async () => {
    const elsewhere = await FaultRegistry.start();
    try {
      push({ layer: { urls: [`http://${elsewhere.host}/layer`, 'file:///etc/passwd'] } });
      await daemon.plan();
      push(
        { layer: { urls: [`http://${elsewhere.host}/layer`], digest: sha256(Buffer.from('x')), size: 1 } },
        '2',
      );
      await assert.rejects(daemon.plan({ reference: `${registry.host}/${repository}:2` }));
      assert.equal(elsewhere.requests.length, 0);
    } finally {
      await elsewhere.stop();
    }
  });

  it('has a layer that is larger in the manifest than what comes', async () => {
    push({ layer: { size: layer.length + 1 } });
    await assert.rejects(daemon.plan(), /has 14 bytes .* promises 15.*team\/app/);
  });

  it('has a layer that is smaller in the manifest than what comes', async () => {
    push({ layer: { size: layer.length - 1 } });
    await refuses('content-mismatch', status.DATA_LOSS, /team\/app/);
  });

  for (const [what, change] of Object.entries({ larger: 1, smaller: -1 }))
    it(`has a configuration that is ${what} in the manifest than what comes`, async () => {
      push({ config: { size: configOf([layer]).length + change } });
      await assert.rejects(daemon.plan(), /team\/app/);
    });

  it('has a configuration of more than 4 MiB', async () => {
    push({ config: { size: 4 * 1024 * 1024 + 1 } });
    await refuses('image-malformed', status.FAILED_PRECONDITION, /4194305 bytes/);
  });

  it('has embedded data that is right: it is not trusted, the registry is asked', async () => {
    push({ layer: { data: layer.toString('base64') } });
    await daemon.plan();
    assert.equal(registry.count(new RegExp(`blobs/${sha256(layer)}`)), 1);
  });

  it('has embedded data that is wrong', async () => {
    push({ layer: { data: Buffer.from('THE ONLY LAYER').toString('base64') } });
    await refuses('image-malformed', status.FAILED_PRECONDITION, /embeds data/);
  });

  it('was sent with another type than its own', async () => {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [] }));
    registry.addManifest(repository, '1', bytes, ociManifest);
    await refuses('image-malformed', status.FAILED_PRECONDITION, /was sent as .* calls itself/);
  });

  it('has one layer twice: it is downloaded once and unpacked twice', async () => {
    registry.addImage(repository, '1', { layers: [layer, layer] });
    const plan = await daemon.plan();
    assert.deepEqual(
      plan.layers?.map(({ digest }) => digest),
      [sha256(layer), sha256(layer)],
    );
    assert.equal(registry.count(new RegExp(`blobs/${sha256(layer)}`)), 1);
    assert.equal(await daemon.redeem(plan.blobTicket ?? Buffer.alloc(0)), 0);
  });

  it('has a layer without a byte', async () => {
    registry.addImage(repository, '1', { layers: [layer, Buffer.alloc(0)] });
    const plan = await daemon.plan();
    assert.equal(Number(plan.layers?.[1]?.sizeBytes), 0);
    assert.equal(await daemon.redeem(plan.blobTicket ?? Buffer.alloc(0)), 0);
  });

  it('uses sha512 for its layer', async () => {
    const digest = `sha512:${createHash('sha512').update(layer).digest('hex')}`;
    registry.addBlob(repository, layer, digest);
    push({ layer: { digest } });
    assert.equal((await daemon.plan()).layers?.[0]?.digest, digest);
  });

  it('stands in an index beside attestations and other platforms', async () => {
    const digest = push();
    const entry = (platform: object, of: string) => ({
      mediaType: ociManifest,
      digest: of,
      size: 1,
      platform,
    });
    // The size of a manifest is checked like its digest.
    const answer = await fetch(`http://${registry.host}/v2/${repository}/manifests/${digest}`);
    const size = (await answer.arrayBuffer()).byteLength;
    const own = { ...entry({ os: 'linux', architecture }, digest), size };
    const manifests = [
      entry({ os: 'unknown', architecture: 'unknown' }, sha256(Buffer.from('attestation'))),
      entry({ os: 'windows', architecture }, sha256(Buffer.from('windows'))),
      own,
    ];
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }));
    registry.addManifest(repository, '1', index, ociIndex);
    assert.equal((await daemon.plan()).imageDigest, digest);
  });

  it('wants a user, volumes and labels: none of it has an effect', async () => {
    const plain = { Env: ['A=b'], WorkingDir: '/w' };
    registry.addImage(repository, '1', { layers: [layer], config: plain });
    registry.addImage(repository, '2', {
      layers: [layer],
      config: {
        ...plain,
        User: 'root:root',
        Volumes: { '/etc': {}, '/../host': {} },
        Labels: { 'a\nlabel': 'with\u001b[31m\nlines' },
        ExposedPorts: { '22/tcp': {} },
        StopSignal: 'SIGKILL',
        OnBuild: ['RUN x'],
        Healthcheck: { Test: ['CMD', 'true'] },
      },
    });
    const facts = async (tag: string) => {
      const plan = await daemon.plan({ reference: `${registry.host}/${repository}:${tag}` });
      const environment = plan.environment?.filter(({ name }) => !name?.startsWith('STOWAGE_'));
      return [plan.mounts, plan.unsetEnvironment, environment, plan.workingDirectory];
    };
    assert.deepEqual(await facts('2'), await facts('1'));
  });
});
