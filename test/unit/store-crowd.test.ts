import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { DaemonProcess, makeOwnDirectory } from '../support/daemon-process.js';
import { FaultRegistry, sha256 } from '../support/fault-registry.js';

const crowd = 16;
/** Each test has an image of its own, as the same daemons serve all: to start them is what takes time. */
const layersOf = (tag: string): Buffer[] =>
  [0, 1, 2].map((layer) => Buffer.alloc(1_000_000, `${tag} ${layer}`));

describe('16 stowageds with one shared blob directory, cold', function () {
  this.timeout(180_000);
  let directory: string;
  let shared: string;
  let registry: FaultRegistry;
  let daemons: DaemonProcess[];
  const push = (tag: string): Buffer[] => {
    registry.forgive();
    const layers = layersOf(tag);
    registry.addImage('team/app', tag, { layers });
    return layers;
  };
  const prepare = (daemon: DaemonProcess, tag: string) => daemon.prepare(`${registry.host}/team/app:${tag}`);
  const downloads = (layer: Buffer): number => registry.count(new RegExp(`blobs/${sha256(layer)}`));
  const areWhole = async (layers: Buffer[]): Promise<void> => {
    for (const place of [shared, ...daemons.slice(1).map((daemon) => `${daemon.directory}/store`)]) {
      const blobs = join(place, 'blobs/sha256');
      for (const name of await readdir(blobs))
        assert.equal(sha256(await readFile(join(blobs, name))), `sha256:${name}`);
      for (const layer of layers)
        assert.ok((await readdir(blobs)).includes(sha256(layer).slice('sha256:'.length)));
    }
  };

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-crowd-'));
    await chmod(directory, 0o755);
    shared = makeOwnDirectory(join(directory, 'shared'));
    registry = await FaultRegistry.start();
    daemons = await Promise.all(
      Array.from({ length: crowd }, (_, i) =>
        DaemonProcess.start(
          makeOwnDirectory(join(directory, String(i))),
          registry.host,
          `shared = "${shared}"`,
        ),
      ),
    );
  });
  after(async () => {
    await Promise.all(daemons.map((daemon) => daemon.kill()));
    await registry.stop();
    await rm(directory, { recursive: true });
  });

  it('download each blob once', async () => {
    const layers = push('once');
    const answers = await Promise.all(daemons.map((daemon) => prepare(daemon, 'once')));
    assert.ok(answers.every((events) => events.at(-1)?.plan));
    for (const layer of layers) assert.equal(downloads(layer), 1);
    // The configuration too.
    assert.equal(registry.count(/blobs/), layers.length + 1);
    await areWhole(layers);
  });

  it('download a blob at most twice when the first of them is killed meanwhile', async () => {
    const layers = push('twice');
    registry.inject(new RegExp(`blobs/${sha256(layers[0] as Buffer)}`), {
      kind: 'trickle',
      bytesPerSecond: 20_000,
    });
    const [first, ...others] = daemons as [DaemonProcess, ...DaemonProcess[]];
    const lost = prepare(first, 'twice').catch(() => undefined);
    while (layers.some((layer) => downloads(layer) === 0)) await sleep(5);
    const answers = Promise.all(others.map((daemon) => prepare(daemon, 'twice')));
    await sleep(500);
    await first.kill();
    await lost;
    assert.ok((await answers).every((events) => events.at(-1)?.plan));
    const [killed = 0, ...rest] = layers.map(downloads);
    assert.equal(killed, 2);
    assert.ok(rest.every((count) => count <= 2));
    await areWhole(layers);
  });
});
