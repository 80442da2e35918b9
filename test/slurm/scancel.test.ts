/** scancel while a step waits for something other than the bytes that it downloads itself. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';

import { processFacts } from '../cluster/proc.js';
import type { RunResult } from '../cluster/run.js';
import { waitFor } from '../cluster/wait.js';
import { FaultRegistry } from '../support/fault-registry.js';
import { ThrottlingProxy } from '../support/throttling-proxy.js';
import { batch } from './batch.js';
import { clusterSuite, inNewDirectory, user } from './cluster-suite.js';
import { Home } from './home.js';
import { sharedDirectory } from './shared-directory.js';

let registry: FaultRegistry;
let proxy: ThrottlingProxy;
let shared: ReturnType<typeof sharedDirectory>;

const motdBytes = 2_000_000;
const home = new Home(user);

/** A job asks twice at once, before its first step and for it; two jobs on a node are then too many. */
const withSlowRegistry = async () => {
  registry = await FaultRegistry.start();
  registry.makePrivate('locked', 'alice', 'unknown');
  proxy = await ThrottlingProxy.start(registry.host, motdBytes);
  shared = sharedDirectory();
  return {
    stowageToml: {
      store: { shared: shared.path },
      limits: { requests_per_user: 1 },
      registries: { [proxy.host]: { http: true } },
    },
  };
};

/** Busybox, and random bytes as /etc/motd. */
const layer = (): Buffer =>
  execFileSync(
    'sh',
    [
      '-c',
      'd=$(mktemp -d) && mkdir $d/bin $d/etc && cp /bin/busybox $d/bin && ln -s busybox $d/bin/wc && ' +
        'cat >$d/etc/motd && tar -C $d -c bin etc; rm -r $d',
    ],
    { input: randomBytes(motdBytes), maxBuffer: 10 * motdBytes },
  );

interface Started {
  readonly result: Promise<RunResult>;
  /** Resolves when it has printed that. */
  says(what: RegExp): Promise<unknown>;
}

clusterSuite('scancel', withSlowRegistry, (site) => {
  beforeEach(() => {
    proxy.bytesPerSecond = motdBytes / 40;
  });
  afterEach(() => home.clear());
  after(async () => {
    await proxy.stop();
    await registry.stop();
    shared.remove();
  });

  const start = (command: string, env: Record<string, string> = {}): Started => {
    let printed = '';
    const result = site().run(command, { env, onOutput: (text) => (printed += text) });
    const says = (what: RegExp) =>
      waitFor(() => what.test(printed), { failure: `no ${String(what)} is said`, timeoutMs: 20_000 });
    return { result, says };
  };

  /** An image that no node has. */
  const coldImage = (name: string): string => {
    registry.addImage(name, '1', { layers: [layer()] });
    return `${proxy.host}/${name}:1`;
  };

  const step = (name: string, image: string, options = '-w n1', env?: Record<string, string>): Started =>
    start(`srun ${options} --job-name=${name} --image=${image} wc -c /etc/motd`, env);

  const cancel = async (started: Started, what: string): Promise<void> => {
    const began = performance.now();
    await site().run(`scancel ${what}`);
    const { code, stdout } = await started.result;
    assert.notEqual(code, 0);
    assert.equal(stdout, '');
    const ms = performance.now() - began;
    assert.ok(ms < 10_000, `it took ${Math.round(ms)} ms`);
  };

  const succeeds = async ({ result }: Started): Promise<void> => {
    proxy.bytesPerSecond = motdBytes * 10;
    const { code, stdout, stderr } = await result;
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `${motdBytes} /etc/motd\n`);
  };

  it('while a credential program hangs ends that too', async () => {
    const asked = `${home.directory}/.stowage-test/asked`;
    home.write(
      '.stowage-test/bin/docker-credential-stowage-test',
      `#!/bin/sh\necho $$ >${asked}.new\nmv ${asked}.new ${asked}\nexec sleep 100\n`,
      0o700,
    );
    home.write('.docker/config.json', { credsStore: 'stowage-test' });
    const path = `${home.directory}/.stowage-test/bin:/usr/local/bin:/usr/bin:/bin`;
    const hanging = step('login', `${proxy.host}/locked:1`, '-w n1', { PATH: path });
    await waitFor(() => existsSync(asked), { failure: 'no login is looked for', timeoutMs: 20_000 });
    const program = Number(readFileSync(asked, 'utf8'));
    assert.ok(processFacts(program));
    await cancel(hanging, '--name=login');
    await waitFor(() => processFacts(program) === undefined, {
      failure: 'the credential program goes on',
      timeoutMs: 5000,
    });
  });

  it('while a step waits for a turn leaves the turn to others', async () => {
    const first = step('first', coldImage('turns-a'));
    await first.says(/downloading/);
    const second = step('second', coldImage('turns-b'));
    await second.says(/waiting for a turn/);
    await cancel(second, '--name=second');
    await succeeds(first);
    await succeeds(step('third', coldImage('turns-c')));
  });

  it('of a step does not end the download that its job has begun', async () => {
    const image = coldImage('joined');
    const script = `#!/bin/bash\n#SBATCH --job-name=joined --image=${image} -w n1\nsrun wc -c /etc/motd\nsrun wc -c /etc/motd`;
    const job = start(
      `${inNewDirectory} && touch out && { tail -f out & } && ${batch('--output=out', script)}; kill %1`,
    );
    await job.says(/downloading/);
    const id = (await site().output('squeue -h --name=joined -o %i')).trim();
    await site().run(`scancel ${id}.0`);
    await job.says(/CANCELLED/);
    proxy.bytesPerSecond = motdBytes * 10;
    await job.says(new RegExp(`^${motdBytes} /etc/motd$`, 'm'));
    await job.result;
    assert.equal(registry.count(/joined\/blobs/), 2, 'configuration and layer came once');
  });

  it('of a job ends its step and the download', async () => {
    const job = step('whole', coldImage('whole'));
    await job.says(/downloading/);
    await cancel(job, '--name=whole');
    await waitFor(() => proxy.transfers === 0, { failure: 'the download goes on', timeoutMs: 10_000 });
  });

  it('while another node downloads into the shared directory does not disturb that', async () => {
    const image = coldImage('shared-waiting');
    const downloading = step('downloading', image, '-w n1');
    await downloading.says(/downloading/);
    const waiting = step('waiting', image, '-w n2');
    await waiting.says(/another node is downloading/);
    await cancel(waiting, '--name=waiting');
    await succeeds(downloading);
  });

  it('of the node that downloads into the shared directory lets the other do it', async () => {
    const image = coldImage('shared-taken-over');
    const downloading = step('downloading', image, '-w n1');
    await downloading.says(/downloading/);
    const waiting = step('waiting', image, '-w n2');
    await waiting.says(/another node is downloading/);
    await cancel(downloading, '--name=downloading');
    await succeeds(waiting);
  });
});
