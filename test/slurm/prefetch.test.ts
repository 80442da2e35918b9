/** Images that begin to come in when a job starts, before its first srun. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { waitFor } from '../cluster/wait.js';
import { busyboxImageSaying } from '../support/busybox-image.js';
import { DockerRegistry } from '../support/docker-registry.js';
import { ThrottlingProxy } from '../support/throttling-proxy.js';
import { clusterSuite, inNewDirectory, type Site } from './cluster-suite.js';
import { forgetImages } from './forget.js';

let registry: DockerRegistry;
let proxy: ThrottlingProxy;

/** Larger than what the other images here hold, so that a download can be watched. */
const layerBytes = 4_000_000;

const withSlowRegistry =
  (plugin: { args?: Record<string, string> } = {}) =>
  async () => {
    registry = await DockerRegistry.start();
    proxy = await ThrottlingProxy.start(registry.host, layerBytes);
    const image = await busyboxImageSaying('prefetched', randomBytes(layerBytes));
    await registry.push(image, 'app:1');
    return { nodes: 1, plugin, stowageToml: { registries: { [proxy.host]: { http: true } } } };
  };

const closeRegistry = async (): Promise<void> => {
  await proxy.stop();
  await registry.end();
};

/** A batch job with that image; resolves with what it printed and when it ended. */
const batch = (site: Site, ...lines: string[]) => {
  const script = ['#!/bin/bash', `#SBATCH --image=${proxy.host}/app:1`, ...lines].join('\n');
  return site.run(
    `${inNewDirectory} && sbatch --wait --output=out <<'END' >&2 ; code=$?; cat out; exit $code\n${script}\nEND\n`,
  );
};

/** How much of the image the registry has sent: 1 is all of the large layer. */
const largestShare = async (): Promise<number> => {
  const copies = [...(await registry.copiesSent('app')).values()];
  return Math.max(0, ...copies);
};

clusterSuite('the image of a job', withSlowRegistry(), (site) => {
  beforeEach(async () => {
    proxy.mood = 'slow';
    proxy.bytesPerSecond = layerBytes;
    await forgetImages(site());
    registry.forgetRequests();
  });
  after(closeRegistry);

  it('is on the node when a step begins that comes later', async () => {
    const job = batch(site(), 'sleep 8', `srun sh -c 'wc -c </etc/motd'`);
    await waitFor(() => proxy.transfers > 0, { failure: 'nothing is downloaded', timeoutMs: 10_000 });
    await waitFor(() => proxy.transfers === 0, { failure: 'the download does not end', timeoutMs: 20_000 });
    assert.equal(await largestShare(), 1, 'all is here before the step');
    const { code, stdout } = await job;
    assert.equal(code, 0, stdout);
    assert.equal(stdout.trim(), String(layerBytes));
    for (const [digest, times] of await registry.copiesSent('app')) assert.equal(times, 1, digest);
  });

  it('comes in while a step joins, and each blob once', async () => {
    proxy.bytesPerSecond = layerBytes / 5;
    const { code, stdout } = await batch(site(), 'sleep 1', `srun sh -c 'wc -c </etc/motd'`);
    assert.equal(code, 0, stdout);
    assert.match(stdout, new RegExp(`^${layerBytes}$`, 'm'));
    for (const [digest, times] of await registry.copiesSent('app')) assert.equal(times, 1, digest);
  });

  it('that fails to come in does not fail a job that does without it, nor say anything', async () => {
    proxy.mood = 'failing';
    const { code, stdout } = await batch(site(), 'sleep 2', 'echo done');
    assert.equal(code, 0, stdout);
    assert.equal(stdout, 'done\n');
  });

  it('that hangs delays no job and is given up when the job ends', async () => {
    proxy.mood = 'hanging';
    const { code, stdout } = await batch(site(), 'sleep 2', 'echo done');
    assert.equal(code, 0, stdout);
    assert.equal(stdout, 'done\n');
    await waitFor(() => proxy.transfers === 0, { failure: 'the prefetch goes on', timeoutMs: 10_000 });
  });

  it('that is not there does no harm either', async () => {
    const script = `#!/bin/bash\n#SBATCH --image=${proxy.host}/none:1\necho done\n`;
    const { stdout } = await site().run(
      `${inNewDirectory} && sbatch --wait --output=out <<'END' >&2 ; cat out\n${script}END\n`,
    );
    assert.equal(stdout, 'done\n');
  });

  it('is given up with a stowaged that is not there, and the job runs', async () => {
    await site().cluster.daemon.stop();
    const { code, stdout } = await batch(site(), 'echo done');
    await site().cluster.daemon.start();
    assert.equal(code, 0);
    assert.equal(stdout, 'done\n');
  });

  it('is given up with scancel', async () => {
    proxy.bytesPerSecond = 20_000;
    const job = site().run(
      `${inNewDirectory} && sbatch --wait --job-name=prefetched --image=${proxy.host}/app:1 --wrap='sleep 60'`,
    );
    await waitFor(() => proxy.transfers > 0, { failure: 'nothing is downloaded', timeoutMs: 10_000 });
    await site().run('scancel --name=prefetched');
    await waitFor(() => proxy.transfers === 0, { failure: 'the prefetch goes on', timeoutMs: 10_000 });
    await job;
  });
});

clusterSuite(
  'the image of a job, with prefetch=no',
  withSlowRegistry({ args: { prefetch: 'no' } }),
  (site) => {
    after(closeRegistry);

    it('comes in with the first step', async () => {
      registry.forgetRequests();
      const job = batch(site(), 'sleep 2', 'echo waited', `srun sh -c 'wc -c </etc/motd'`);
      await waitFor(
        () =>
          site()
            .run('squeue -h -t R')
            .then(({ stdout }) => stdout !== ''),
        {
          failure: 'the job does not start',
          timeoutMs: 10_000,
        },
      );
      await new Promise((resolve) => setTimeout(resolve, 1000));
      assert.deepEqual(registry.requests(/app/), []);
      const { code, stdout } = await job;
      assert.equal(code, 0, stdout);
      assert.match(stdout, new RegExp(`^${layerBytes}$`, 'm'));
    });
  },
);
