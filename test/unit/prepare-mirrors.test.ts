import assert from 'node:assert/strict';

import { status } from '@grpc/grpc-js';

import { FaultRegistry, sha256 } from '../support/fault-registry.js';
import { failure, TestDaemon } from '../support/test-daemon.js';

const layer = Buffer.alloc(100_000, 'a');
const ofLayer = new RegExp(`blobs/${sha256(layer)}`);

describe('stowaged, with a mirror that sends', () => {
  let registry: FaultRegistry;
  let mirror: FaultRegistry;
  let daemon: TestDaemon;
  const prepare = () => daemon.prepare({ reference: `${registry.host}/team/app:1` });

  beforeEach(async () => {
    registry = await FaultRegistry.start();
    daemon = await TestDaemon.start();
    mirror = daemon.registry;
    await daemon.stopDaemon();
    await daemon.startDaemon(`[registries."${registry.host}"]\nhttp = true\nmirrors = ["${mirror.host}"]`);
    for (const each of [registry, mirror]) each.addImage('team/app', '1', { layers: [layer] });
  });
  afterEach(async () => {
    await daemon.end();
    await registry.stop();
  });

  const lies: [string, Buffer, boolean][] = [
    ['wrong bytes', Buffer.alloc(layer.length, 'x'), false],
    ['a blob that is too short', layer.subarray(1), false],
    ['a blob that is too long', Buffer.alloc(layer.length + 1, 'a'), true],
  ];
  for (const [what, body, isChunked] of lies) {
    it(`${what}: takes the layer from the registry`, async () => {
      mirror.inject(ofLayer, { kind: 'replace', body, isChunked }, Infinity);
      const events = await prepare();
      assert.ok(events.at(-1)?.plan);
      assert.equal(mirror.count(ofLayer), 1);
      assert.equal(registry.count(ofLayer), 1);
      assert.equal(registry.count(/manifests/), 0);
    });
  }

  it('wrong bytes, and so does the registry: fails, each having been asked once', async () => {
    for (const each of [registry, mirror])
      each.inject(ofLayer, { kind: 'replace', body: Buffer.alloc(layer.length, 'x') }, Infinity);
    await assert.rejects(prepare(), failure(status.DATA_LOSS, 'content-mismatch', /wrong bytes/));
    assert.equal(mirror.count(ofLayer), 1);
    assert.equal(registry.count(ofLayer), 1);
  });
});
