import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

import { commandLine } from '../cluster/proc.js';
import { strays } from '../cluster/sweep.js';
import { waitFor } from '../cluster/wait.js';
import type { RunResult } from '../cluster/run.js';
import { FaultRegistry } from '../support/fault-registry.js';
import { busyboxImageSaying } from '../support/busybox-image.js';
import { account } from '../cluster/users.js';
import { clusterSuite, suiteLayout, user } from './cluster-suite.js';

const slowBytes = 20_000_000;
const slowBytesPerSecond = 500_000;

/** Processes of that name and of this cluster. */
const processesNamed = (name: string): number[] =>
  strays(suiteLayout())
    .filter(({ command }) => command === name.slice(0, 15))
    .map(({ pid }) => pid);

/** The end of one may be the end of another. */
const killAll = (pids: readonly number[]): void => {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH');
    }
  }
};

/** What makes the images of steps. Another, that of the job, goes on until the job ends. */
const helpersOfSteps = (): number[] =>
  processesNamed('stowage-enter').filter((pid) => !commandLine(pid).includes('--prefetch'));

/** A tar archive with one file of that many random bytes. */
const layerOf = (bytes: number): Buffer =>
  execFileSync('sh', ['-c', 'd=$(mktemp -d) && cat >$d/big && tar -C $d -c big; rm -r $d'], {
    input: randomBytes(bytes),
    maxBuffer: bytes * 2,
  });

let registry: FaultRegistry;
let slow: string;

const withSlowRegistry = async () => {
  registry = await FaultRegistry.start();
  registry.addImage('slow', '1', { layers: [layerOf(slowBytes)] });
  slow = `${registry.host}/slow:1`;
  return { stowageToml: { registries: { [registry.host]: { http: true } } } };
};

clusterSuite('what interrupts a step', withSlowRegistry, (site) => {
  beforeEach(() => {
    registry.inject(/\/blobs\//, { kind: 'trickle', bytesPerSecond: slowBytesPerSecond }, 1000);
  });

  afterEach(() =>
    assert(!existsSync(`${account(user).home}/ran-on-host`), 'the program ran without its image'),
  );

  after(() => registry.stop());

  /** Starts a step on a slow image and resolves once it says that it downloads. */
  const slowStep = async (options = ''): Promise<{ result: Promise<RunResult>; stderr: () => string }> => {
    let stderr = '';
    const result = site().run(`srun ${options} --job-name=slow --image=${slow} touch ~/ran-on-host`, {
      onOutput: (text, stream) => {
        if (stream === 'stderr') stderr += text;
      },
    });
    await waitFor(() => /downloading/.test(stderr), { failure: 'no line of progress', timeoutMs: 15_000 });
    return { result, stderr: () => stderr };
  };

  const endsWithinFiveSeconds = async (
    result: Promise<RunResult>,
    interrupt: () => Promise<unknown>,
  ): Promise<RunResult> => {
    const start = performance.now();
    await interrupt();
    const ended = await result;
    const ms = performance.now() - start;
    assert.notEqual(ended.code, 0);
    assert(ms < 5000, `it took ${Math.round(ms)} ms`);
    return ended;
  };

  it('says how far the download is', async () => {
    const { result, stderr } = await slowStep();
    assert.match(stderr(), /stowage: n[12]: downloading 127\.0\.0\.1:\d+\/slow:1: \d+ of 21 MB\n/);
    await endsWithinFiveSeconds(result, () => site().run('scancel --name=slow'));
  });

  it('scancel during a slow download ends the step, and the download', async () => {
    const { result } = await slowStep();
    await endsWithinFiveSeconds(result, () => site().run('scancel --name=slow'));
    await waitFor(
      () =>
        site().cluster.nodes.some((node) => site().cluster.daemon.log(node).includes('"event":"cancelled"')),
      { failure: 'no daemon logs that the request was cancelled', timeoutMs: 5000 },
    );
  });

  it('scancel with 32 ranks waiting on two nodes', async () => {
    const { result } = await slowStep('-N2 -n32');
    await endsWithinFiveSeconds(result, () => site().run('scancel --name=slow'));
  });

  it('stowage-enter killed', async () => {
    const { result } = await slowStep();
    const ended = await endsWithinFiveSeconds(result, async () => {
      for (const pid of helpersOfSteps()) process.kill(pid, 'SIGKILL');
    });
    assert.match(ended.stderr, /stowage: n[12]: stowage-enter was killed/);
  });

  it('stowaged killed', async () => {
    const { result } = await slowStep();
    const ended = await endsWithinFiveSeconds(result, () => site().cluster.daemon.kill());
    assert.match(ended.stderr, /stowage: n[12]: .*stowaged.*try again/);
    await site().cluster.daemon.start();
    assert.match(await site().output('srun --image=$IMAGE cat /etc/os-release'), /Stowage test image/);
  });

  it('slurmstepd killed', async () => {
    const { result } = await slowStep();
    killAll(processesNamed('slurmstepd'));
    await waitFor(() => helpersOfSteps().length === 0, {
      failure: 'stowage-enter lives on',
      timeoutMs: 5000,
    });
    // Without its slurmstepd a step does not end by itself, image or not, and srun does not report it as failed.
    await site().run('scancel --name=slow');
    await result;
  });

  it('stowage-unpack killed in the middle, and the next step unpacks anew', async () => {
    // Large enough to be seen.
    const large = Buffer.alloc(100_000_000, 'compresses well, ');
    const image = await site().push(await busyboxImageSaying('interrupted', large), 'interrupted:1');
    const step = site().run(`srun --image=${image} true`);
    let unpackers: number[] = [];
    await waitFor(() => (unpackers = processesNamed('stowage-unpack')).length > 0, {
      failure: 'stowage-unpack is not seen',
      timeoutMs: 20_000,
      intervalMs: 1,
    });
    for (const pid of unpackers) process.kill(pid, 'SIGKILL');
    const { code } = await step;
    // It may have finished before the kill came.
    if (code !== 0) assert.match((await step).stderr, /stowage: n[12]: /);
    assert.match(await site().output(`srun --image=${image} cat /etc/os-release`), /Stowage test image/);
  });

  it('stowaged restarted under a running step, which does not notice', async () => {
    const running = site().run('srun --image=$IMAGE sh -c "sleep 3; cat /etc/os-release; exit 5"');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await site().cluster.daemon.kill();
    await site().cluster.daemon.start();
    const { code, stdout } = await running;
    assert.equal(code, 5);
    assert.match(stdout, /Stowage test image/);
  });

  it('slurmd restarted under a running step, which does not notice', async () => {
    const running = site().run('srun --image=$IMAGE sh -c "sleep 3; cat /etc/os-release"');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await site().cluster.restartSlurmd();
    assert.match((await running).stdout, /Stowage test image/);
  });

  it('100 tasks in 4 steps at once for a cold image: each node downloads and unpacks once', async () => {
    registry.addImage('crowd', '1', { layers: [layerOf(1_000_000)] });
    const step = `srun --exact -n25 --image=${registry.host}/crowd:1 nothing-here`;
    await site().run(`salloc -N2 -n100 bash -c '${Array(4).fill(`${step} &`).join(' ')} wait'`);
    const digest = registry.count(/crowd\/blobs/);
    assert(digest > 0 && digest <= 4, `${digest} requests for two blobs on two nodes`);
  });
});
