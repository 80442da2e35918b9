import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { ServiceError } from '@grpc/grpc-js';

import { DaemonProcess, makeOwnDirectory } from '../support/daemon-process.js';
import { FaultRegistry, sha256 } from '../support/fault-registry.js';
import { redeem } from '../support/test-daemon.js';

const [small, large] = [Buffer.alloc(1_000_000, 'a'), Buffer.alloc(1_500_000, 'b')];

/** What is short, the file system that it is short on, and how others take the rest of it. */
const shortages: [string, string, (store: string, leave: number) => Promise<void>][] = [
  [
    'bytes',
    'size=4m',
    async (store, leave) => {
      const { bavail, bsize } = await statfs(store);
      // The download may have been faster than this.
      await writeFile(join(store, 'filler-0'), Buffer.alloc(bavail * bsize - leave)).catch(() => undefined);
    },
  ],
  [
    'inodes',
    'size=64m,nr_inodes=40',
    async (store) => {
      for (let i = 0; (await statfs(store)).ffree > 0; i++) await writeFile(join(store, `filler-${i}`), '');
    },
  ],
];

for (const [what, options, fill] of shortages) {
  describe(`stowaged, with a file system that runs out of ${what} in the middle of a pull`, function () {
    this.timeout(60_000);
    let directory: string;
    let registry: FaultRegistry;
    let daemon: DaemonProcess;
    const prepare = (tag: string) => daemon.prepare(`${registry.host}/team/app:${tag}`);
    const blobs = async (): Promise<string[]> => {
      const place = join(daemon.store, 'blobs/sha256');
      const names = await readdir(place);
      for (const name of names) assert.equal(sha256(await readFile(join(place, name))), `sha256:${name}`);
      return names.map((name) => `sha256:${name}`);
    };
    /** Begins to pull the large image, and fills the file system meanwhile. */
    const pullAndFill = async (leave: number) => {
      registry.inject(new RegExp(sha256(large)), { kind: 'trickle', bytesPerSecond: 3_000_000 });
      const pull = prepare('large');
      pull.catch(() => undefined);
      while (registry.count(new RegExp(sha256(large))) === 0) await sleep(2);
      await fill(daemon.store, leave);
      return pull;
    };

    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'stowage-full-'));
      await chmod(directory, 0o755);
      registry = await FaultRegistry.start();
      registry.addImage('team/app', 'small', { layers: [small] });
      registry.addImage('team/app', 'large', { layers: [large] });
      daemon = await DaemonProcess.start(makeOwnDirectory(join(directory, '1')), registry.host, '', options);
    });
    afterEach(async () => {
      await daemon.kill();
      await registry.stop();
      await rm(directory, { recursive: true });
    });

    it('removes what nothing needs and pulls it after all', async () => {
      // Until tickets are redeemed the layers are kept for who holds them.
      for (const { layers, plan } of await prepare('small')) {
        for (const ticket of [layers?.blobTicket, plan?.blobTicket])
          if (ticket?.length) await redeem(`${daemon.directory}/blobs.sock`, ticket);
      }
      assert.ok((await pullAndFill(600_000)).at(-1)?.plan);
      const present = await blobs();
      assert.ok(present.includes(sha256(large)));
      assert.ok(!present.includes(sha256(small)));
    });

    it('says in one sentence that it is full, keeps nothing half-made, and pulls when there is room', async () => {
      await assert.rejects(pullAndFill(0), (error: ServiceError) => {
        assert.deepEqual(error.metadata.get('stowage-code'), ['store-full'], error.message);
        assert.match(error.details, /^[^\n]*image store [^\n]* no (space left|room)[^\n]*$/);
        return true;
      });
      assert.ok(!(await blobs()).includes(sha256(large)));
      const names = await readdir(daemon.store);
      for (const name of names.filter((each) => each.startsWith('filler-')))
        await rm(join(daemon.store, name));
      assert.ok((await prepare('large')).at(-1)?.plan);
      assert.ok((await blobs()).includes(sha256(large)));
    });
  });
}
