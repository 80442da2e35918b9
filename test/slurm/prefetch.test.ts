/** Images that begin to come in when a job starts, before its first srun. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { allProcesses, commandLine } from '../cluster/proc.js';
import { waitFor } from '../cluster/wait.js';
import { busyboxImageSaying } from '../support/busybox-image.js';
import { DockerRegistry } from '../support/docker-registry.js';
import { ThrottlingProxy } from '../support/throttling-proxy.js';
import { batch } from './batch.js';
import { clusterSuite, inNewDirectory, type Site, suiteLayout, user } from './cluster-suite.js';
import { libexecOfSlow } from './fake-helper.js';
import { forgetImages } from './forget.js';
import { Home } from './home.js';

let registry: DockerRegistry;
let proxy: ThrottlingProxy;

/** Larger than what the other images here hold, so that a download can be watched. */
const layerBytes = 4_000_000;
const motd = randomBytes(layerBytes);

/** Bytes in a second with which a download lasts longer than a test. */
const slowly = layerBytes / 200;

const withSlowRegistry =
  (plugin: { args?: Record<string, string> } = {}, limits: Record<string, number> = {}) =>
  async () => {
    registry = await DockerRegistry.start();
    proxy = await ThrottlingProxy.start(registry.host, layerBytes);
    const image = await busyboxImageSaying('prefetched', motd);
    await registry.push(image, 'app:1');
    return { nodes: 1, plugin, stowageToml: { limits, registries: { [proxy.host]: { http: true } } } };
  };

const closeRegistry = async (): Promise<void> => {
  await proxy.stop();
  await registry.end();
};

/** A batch job with that image; resolves with what it printed when it has ended. */
const job = (site: Site, lines: readonly string[], name = 'app:1') => {
  const script = ['#!/bin/bash', `#SBATCH --image=${proxy.host}/${name}`, ...lines].join('\n');
  return site.run(
    `${inNewDirectory} && ${batch('--job-name=prefetched --output=out', script)}; code=$?; cat out; exit $code`,
  );
};

/** Whether a configuration and two layers were sent, each once. */
const hasSentAll = async (): Promise<boolean> => {
  const copies = [...(await registry.copiesSent('app')).values()];
  return copies.length === 3 && copies.every((times) => times === 1);
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
    const running = job(site(), ['sleep 4', `srun sh -c 'wc -c </etc/motd'`]);
    await waitFor(hasSentAll, { failure: 'the image does not come in', timeoutMs: 20_000 });
    registry.forgetRequests();
    const { code, stdout } = await running;
    assert.equal(code, 0, stdout);
    assert.equal(stdout.trim(), String(layerBytes));
    assert.deepEqual(await registry.settledRequests(/blobs/), [], 'the step finds all there');
  });

  it('is on the node before a step that has the name of an environment', async () => {
    const home = new Home(user);
    try {
      home.write('.config/stowage/environments/stowage-test.toml', `image = "${proxy.host}/app:1"`);
      const go = home.write('stowage-test-waits', '');
      const script = `#!/bin/bash\n#SBATCH --image=@stowage-test\nwhile test -e ${go}; do sleep .1; done\nsrun true`;
      const running = site().run(
        `${inNewDirectory} && ${batch('--job-name=prefetched --output=out', script)}; code=$?; cat out; exit $code`,
      );
      const come = waitFor(hasSentAll, { failure: 'the image does not come in', timeoutMs: 20_000 });
      await come.finally(() => home.remove('stowage-test-waits'));
      const { code, stdout } = await running;
      assert.equal(code, 0, stdout);
      assert.ok(await hasSentAll(), 'the step finds all there');
    } finally {
      home.clear();
    }
  });

  it('comes in while a step joins, and each blob once', async () => {
    proxy.bytesPerSecond = layerBytes / 5;
    const { code, stdout } = await job(site(), ['sleep 1', `srun sh -c 'wc -c </etc/motd'`]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, new RegExp(`^${layerBytes}$`, 'm'));
    assert.ok(await hasSentAll());
  });

  it('that fails to come in does not fail a job that does without it, nor say anything', async () => {
    proxy.mood = 'failing';
    const { code, stdout } = await job(site(), ['sleep 2', 'echo done']);
    assert.equal(code, 0, stdout);
    assert.equal(stdout, 'done\n');
  });

  it('that hangs delays no job and is given up when the job ends', async () => {
    proxy.mood = 'hanging';
    const { code, stdout } = await job(site(), ['sleep 2', 'echo done']);
    assert.equal(code, 0, stdout);
    assert.equal(stdout, 'done\n');
    await waitFor(() => proxy.transfers === 0, { failure: 'the prefetch goes on', timeoutMs: 10_000 });
  });

  it('that is not there does no harm either', async () => {
    const { code, stdout } = await job(site(), ['echo done'], 'none:1');
    assert.equal(code, 0);
    assert.equal(stdout, 'done\n');
  });

  it('is given up with a stowaged that is not there, and the job runs', async () => {
    await site().cluster.daemon.stop();
    const { code, stdout } = await job(site(), ['echo done']);
    await site().cluster.daemon.start();
    assert.equal(code, 0);
    assert.equal(stdout, 'done\n');
  });

  it('is given up with scancel', async () => {
    proxy.bytesPerSecond = slowly;
    const running = job(site(), ['sleep 60']);
    await waitFor(() => proxy.transfers > 0, { failure: 'nothing is downloaded', timeoutMs: 10_000 });
    await site().output('scancel --name=prefetched');
    // The epilog comes when the job's processes have ended, for which Slurm gives them KillWait.
    await running;
    await waitFor(() => proxy.transfers === 0, { failure: 'the prefetch goes on', timeoutMs: 10_000 });
  });
});

/** Of a prolog that waits for a second. */
const helpersSlowToBegin = [
  { seconds: 0.5, when: 'while the prolog waits for it' },
  { seconds: 3, when: 'after the prolog has gone on' },
];

for (const { seconds, when } of helpersSlowToBegin) {
  clusterSuite(
    `the image of a job, asked for ${when},`,
    async () => {
      const libexec = libexecOfSlow(suiteLayout().prefix, seconds);
      return withSlowRegistry({ args: { libexec } })();
    },
    (site) => {
      beforeEach(async () => {
        proxy.bytesPerSecond = slowly;
        await forgetImages(site());
      });
      after(closeRegistry);

      const helpers = () => allProcesses().filter(({ pid }) => commandLine(pid).includes('--prefetch'));
      const isGivenUp = () =>
        waitFor(() => helpers().length === 0 && proxy.transfers === 0, {
          failure: 'the prefetch goes on',
          timeoutMs: 10_000,
        });

      it('does not come in for a job that is over at once', async () => {
        const { code, stdout } = await job(site(), ['echo done']);
        assert.equal(code, 0, stdout);
        assert.equal(stdout, 'done\n');
        await isGivenUp();
      });

      it('does not come in for a job that is cancelled at once', async () => {
        const running = job(site(), ['sleep 60']);
        await waitFor(() => helpers().length > 0, { failure: 'no prefetch begins', timeoutMs: 10_000 });
        await site().output('scancel --name=prefetched');
        await running;
        await isGivenUp();
      });
    },
  );
}

clusterSuite(
  'the image of a job, with prefetch=no',
  withSlowRegistry({ args: { prefetch: 'no' } }),
  (site) => {
    after(closeRegistry);

    it('comes in with the first step', async () => {
      registry.forgetRequests();
      const running = job(site(), ['sleep 2', 'echo waited', `srun sh -c 'wc -c </etc/motd'`]);
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
      const { code, stdout } = await running;
      assert.equal(code, 0, stdout);
      assert.match(stdout, new RegExp(`^${layerBytes}$`, 'm'));
    });
  },
);

clusterSuite(
  'the image of a job, where a user may have one request at a time',
  withSlowRegistry({}, { requests_per_user: 1 }),
  (site) => {
    beforeEach(async () => {
      proxy.bytesPerSecond = layerBytes / 4;
      await forgetImages(site());
      registry.forgetRequests();
    });
    after(closeRegistry);

    it('comes in once, and the step joins without waiting for a turn', async () => {
      const { code, stdout } = await job(site(), ['sleep 1', `srun sh -c 'wc -c </etc/motd' 2>&1`]);
      assert.equal(code, 0, stdout);
      assert.match(stdout, new RegExp(`^${layerBytes}$`, 'm'));
      assert.doesNotMatch(stdout, /waiting for a turn/);
      assert.ok(await hasSentAll());
    });

    it('does not hold up a step that wants another one', async () => {
      proxy.mood = 'hanging';
      const { code, stdout } = await job(site(), [
        'sleep 1',
        `srun --image="$IMAGE" sh -c 'echo other' 2>&1`,
      ]);
      assert.equal(code, 0, stdout);
      assert.match(stdout, /^other$/m);
      assert.doesNotMatch(stdout, /waiting for a turn/);
      await waitFor(() => proxy.transfers === 0, { failure: 'the prefetch goes on', timeoutMs: 10_000 });
    });
  },
);
