import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';

import type { PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import { eachInEnterSandbox, type EnterOptions, image } from '../support/enter-sandbox.js';
import { listenGrpc, welcome } from '../support/fake-daemon.js';
import { ordinaryUser } from '../unpack/sandbox.js';

type Plan = NonNullable<PrepareResponseMessage['plan']>;

describe("stowage-enter, with the image's entrypoint", () => {
  const sandbox = eachInEnterSandbox();

  /** An image with busybox and the script as its /entry; without a script, with busybox alone. */
  const serve = async (script: string | undefined, plan: Plan = {}): Promise<void> => {
    const imageDigest = sandbox().makeTree((root) => {
      for (const directory of ['bin', 'srv', 'srv/left']) fs.mkdirSync(`${root}/${directory}`);
      fs.copyFileSync('/bin/busybox', `${root}/bin/busybox`);
      if (script === undefined) return;
      fs.symlinkSync('busybox', `${root}/bin/sh`);
      fs.writeFileSync(`${root}/entry`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    });
    await sandbox().serve(
      listenGrpc(sandbox().socket, (call) => {
        call.write(welcome);
        call.write({
          plan: {
            imageDigest,
            workingDirectory: '/srv',
            mounts: ['/proc', '/dev'].map((path) => ({ source: path, target: path })),
            config: { entrypoint: ['/entry'] },
            environment: [
              { name: 'OF_IMAGE', value: 'yes' },
              { name: 'PATH', value: '/bin' },
            ],
            runEntrypoint: true,
            ...plan,
          },
        });
        call.end();
      }),
    );
  };
  const succeed = async (script: string | undefined, plan?: Plan, options?: EnterOptions) => {
    await serve(script, plan);
    return sandbox().succeed(options);
  };
  const enter = async (script: string | undefined, plan?: Plan, options?: EnterOptions) => {
    await serve(script, plan);
    const outcome = await sandbox().enter(options);
    return { ...outcome, sentence: /^E([^\0]*)\0$/.exec(outcome.reply)?.[1] };
  };

  it('gives ranks the environment that it left, and starts them where it went', async () => {
    const { environment, directory } = await succeed(
      'export NEW="a b\nc" OF_IMAGE=changed; unset FROM_JOB; cd left; exec "$@"',
      {},
      { environment: { FROM_JOB: 'gone', KEPT: 'kept' } },
    );
    assert.deepEqual(environment.sort(), ['-FROM_JOB', '=NEW=a b\nc', '=OF_IMAGE=changed', '=PATH=/bin']);
    assert.equal(directory, '/srv/left');
  });

  it('starts ranks where the user asked to, wherever it went', async () => {
    const { directory } = await succeed('cd /srv/left; exec "$@"', { workingDirectoryAskedFor: true });
    assert.equal(directory, '/srv');
  });

  it('leaves what tells a rank who it is to the job', async () => {
    const { environment } = await succeed(
      'export SLURM_PROCID=7 PMIX_RANK=7 PMI_RANK=7 STOWAGE_IMAGE=x A=b; unset SLURM_JOB_ID; exec "$@"',
      {},
      { environment: { SLURM_JOB_ID: '12' } },
    );
    assert.deepEqual(environment.sort(), ['=A=b', '=OF_IMAGE=yes', '=PATH=/bin']);
  });

  it('works in an image that has neither shell nor libraries', async () => {
    const entrypoint = ['/bin/busybox', 'env', '-u', 'FROM_JOB', 'NEW=of env'];
    const { environment, root } = await succeed(
      undefined,
      { config: { entrypoint } },
      { environment: { FROM_JOB: 'gone' } },
    );
    assert.deepEqual(environment.sort(), ['-FROM_JOB', '=NEW=of env', '=OF_IMAGE=yes', '=PATH=/bin']);
    assert.deepEqual(fs.readdirSync(root).sort(), ['bin', 'dev', 'etc', 'proc', 'srv']);
  });

  it('finds it along the PATH of the image', async () => {
    const { environment } = await succeed(undefined, {
      config: { entrypoint: ['busybox', 'env', 'NEW=found'] },
      environment: [{ name: 'PATH', value: '/nowhere:/bin' }],
    });
    assert.ok(environment.includes('=NEW=found'));
  });

  it('takes no descriptor that has to get through the entrypoint', async () => {
    const { environment } = await succeed(
      'for fd in 3 4 5 6 7 8 9; do eval "exec $fd>&-"; done; export NEW=1; "$@" </dev/null >/dev/null 2>&1; exit $?',
    );
    assert.ok(environment.includes('=NEW=1'));
  });

  it('shows what it prints in the output for errors', async () => {
    const { stderr, status } = await enter('echo banner; echo warning >&2; exec "$@"');
    assert.equal(status, 0);
    assert.equal(stderr, 'banner\nwarning\n');
  });

  it('runs as the user, who gains no privileges', async () => {
    const { environment } = await succeed(
      'export STATUS="$(grep -E "^(Uid|NoNewPrivs|CapEff)" /proc/self/status | tr -s "\\t\\n" "  ")"; exec "$@"'
        .replace('grep', '/bin/busybox grep')
        .replace('tr ', '/bin/busybox tr '),
    );
    const seen = environment.find((entry) => entry.startsWith('=STATUS=')) ?? '';
    assert.match(seen, /^=STATUS=Uid: (\d+) \1 \1 \1 CapEff: 0+ NoNewPrivs: 1/);
  });

  it('lets what it started in the background go on', async () => {
    const { root, environment } = await succeed(
      '(while ! [ -e /go ]; do /bin/busybox sleep 0.05; done; echo done >/went) </dev/null >/dev/null 2>&1 & export NEW=1; exec "$@"',
    );
    assert.ok(environment.includes('=NEW=1'));
    fs.accessSync(root);
    assert.ok(!fs.existsSync(`${root}/went`));
    assert.equal(spawnSync('touch', [`${root}/go`], { ...ordinaryUser }).status, 0);
    for (let i = 0; i < 100 && !fs.existsSync(`${root}/went`); i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(fs.existsSync(`${root}/went`));
  });

  it('says so and goes on if the image has none', async () => {
    const { stderr, status } = await enter('exit 9', { config: {} });
    assert.equal(status, 0);
    assert.equal(
      stderr,
      `stowage: node1: ${image}: the image has no entrypoint to run; ranks start without one\n`,
    );
  });

  it('does not run it unless asked to', async () => {
    const { environment } = await succeed('exit 9', { runEntrypoint: false });
    assert.deepEqual(environment, ['=OF_IMAGE=yes', '=PATH=/bin']);
  });

  for (const [what, script, sentence] of [
    ['fails', 'exit 9', 'entrypoint /entry failed with exit code 9; --no-image-entrypoint leaves it out'],
    ['is killed', 'kill -SEGV $$', 'entrypoint /entry was ended by signal 11 (Segmentation fault)'],
    [
      'does not execute its command',
      'exit 0',
      'entrypoint /entry ended without executing the command that it was given; --no-image-entrypoint leaves it out',
    ],
    [
      'fails after its command',
      '"$@"; exit 3',
      'entrypoint /entry failed with exit code 3; --no-image-entrypoint leaves it out',
    ],
    [
      'writes something else to where its command does',
      'printf "\\001\\000\\000\\000x" >"$2"; exec "$@"',
      'entrypoint /entry: was given to something else than its command',
    ],
    [
      'leaves too much',
      'printf "\\377\\377\\377\\177" >"$2"; exec "$@"',
      'entrypoint /entry: left an environment that is larger than 1048576 bytes',
    ],
  ] as const)
    it(`refuses the step if it ${what}`, async () => {
      const outcome = await enter(script);
      assert.equal(outcome.status, 1);
      assert.equal(outcome.sentence, `image ${image}: the image's ${sentence}`);
    });

  it('refuses the step if it cannot be executed', async () => {
    const outcome = await enter(undefined);
    assert.equal(
      outcome.sentence,
      `image ${image}: cannot run the image's entrypoint /entry; --no-image-entrypoint leaves it out: No such file or directory`,
    );
  });

  it('ends it when it takes too long', async () => {
    const { sentence, tookMs } = await enter(
      '/bin/busybox sleep 600',
      {},
      { environment: { STOWAGE_ENTRYPOINT_SECONDS: '1' } },
    );
    assert.equal(
      sentence,
      `image ${image}: the image's entrypoint /entry has not ended after 1 seconds; --no-image-entrypoint leaves it out`,
    );
    assert.ok(tookMs < 5000);
  });
});
