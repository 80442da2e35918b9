import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { DaemonProcess, makeOwnDirectory } from '../support/daemon-process.js';
import { FaultRegistry } from '../support/fault-registry.js';

const kills = 50;
/** Two daemons, each with a store of its own, share the work. */
const lanes = 2;
const longestMs = 400;
const seed = 20261122;

/** Numbers below 1 that are the same in every run. */
function* randomNumbers(state: number): Generator<number, never> {
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

describe('stowaged, killed in the middle of a pull', () => {
  let directory: string;
  let registry: FaultRegistry;
  let daemons: DaemonProcess[];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-crash-'));
    await chmod(directory, 0o755);
    registry = await FaultRegistry.start();
    daemons = [];
  });
  afterEach(async () => {
    await Promise.all(daemons.map((daemon) => daemon.kill()));
    await registry.stop();
    await rm(directory, { recursive: true });
  });

  /** Every blob is what its name says. Returns how many there are. */
  const check = async (store: string): Promise<number> => {
    const names = await readdir(join(store, 'blobs/sha256'));
    for (const name of names) {
      const bytes = await readFile(join(store, 'blobs/sha256', name));
      assert.equal(createHash('sha256').update(bytes).digest('hex'), name);
    }
    return names.length;
  };

  /** Waits until a daemon has removed what it found and has no use for; from then on all belongs together. */
  const untilTidy = async (store: string): Promise<void> => {
    const list = async (place: string): Promise<string> =>
      (await readdir(join(store, place, 'sha256'))).sort().join();
    while ((await list('blobs')) !== (await list('origins'))) await sleep(10);
    for (const name of await readdir(join(store, 'blobs/sha256'))) {
      const origins = await readFile(join(store, 'origins/sha256', name), 'utf8');
      assert.equal(origins, `${registry.host}/team/app\n`);
    }
  };

  it(`holds only whole, verified blobs afterwards, and the next pull succeeds (${kills} times)`, async function () {
    this.timeout(240_000);
    const outcomes = { whole: 0, none: 0, some: 0 };
    const run = async (lane: number): Promise<void> => {
      const random = randomNumbers(seed + lane);
      const home = makeOwnDirectory(join(directory, String(lane)));
      const store = join(home, 'store');
      let had = 0;
      for (let i = 0; i < kills / lanes; i++) {
        const tag = `${lane}-${i}`;
        const layers = [0, 1, 2].map((layer) => Buffer.alloc(100_000, `${tag} ${layer}`));
        registry.addImage('team/app', tag, { layers });
        registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 500_000 }, 4);
        const daemon = await DaemonProcess.start(home, registry.host);
        daemons.push(daemon);
        if (i > 0)
          assert.ok((await daemon.prepare(`${registry.host}/team/app:${lane}-${i - 1}`)).at(-1)?.plan);
        await untilTidy(store);
        had = await check(store);
        const pull = daemon.prepare(`${registry.host}/team/app:${tag}`).catch(() => undefined);
        await sleep(random.next().value * longestMs);
        await daemon.kill();
        await pull;
        const now = await check(store);
        outcomes[now === had ? 'none' : now === had + 5 ? 'whole' : 'some']++;
      }
    };
    await Promise.all(Array.from({ length: lanes }, (_, lane) => run(lane)));
    assert.ok(outcomes.some > 0, `no pull was hit in its middle: ${JSON.stringify(outcomes)}`);
  });
});
