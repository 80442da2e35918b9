import assert from 'node:assert/strict';

import { strays } from '../cluster/sweep.js';
import { waitFor } from '../cluster/wait.js';
import { clusterSuite, inNewDirectory } from './cluster-suite.js';

// Slurm starts the parts of a heterogeneous job only in its backfill cycle.
const soon = { SchedulerParameters: 'batch_sched_delay=0,sched_interval=1,bf_interval=1' };

clusterSuite('a container that is saved', { slurmConf: soon }, (site) => {
  const output = (command: string): Promise<string> => site().output(`${inNewDirectory}; ${command}`);

  const runs = (program: string): boolean =>
    strays(site().cluster.layout).some(({ command }) => command === program);

  for (const file of ['x.sqsh', 'x.tar'])
    it(`is an image again, as ${file}`, async () => {
      assert.equal(
        await output(
          `srun -n1 --image=$IMAGE --image-save=${file} sh -c 'echo new >/etc/new; rm /etc/motd' && ls -A && srun -n1 --image=${file.endsWith('tar') ? 'oci-archive:' : './'}${file} sh -c 'cat /etc/new; ls /etc/motd 2>/dev/null || echo gone; grep -c stow-a /etc/passwd'`,
        ),
        `${file}\nnew\ngone\n1\n`,
      );
    });

  it('is written when the last rank of the first node has ended', async () => {
    assert.equal(
      await output(
        `srun -N2 -n4 --overcommit --image=$IMAGE --image-save=x.sqsh sh -c 'sleep $SLURM_PROCID; echo $SLURM_PROCID >>/etc/ranks' && srun -n1 --image=./x.sqsh sh -c 'sort /etc/ranks'`,
      ),
      '0\n1\n',
    );
  });

  it('is that of the first component, of a heterogeneous step', async () => {
    const part = (name: string, seconds: number): string =>
      `--image=$IMAGE --image-save=x.sqsh sh -c 'sleep ${seconds}; echo ${name} >/etc/component'`;
    assert.equal(
      await output(
        `srun ${part('first', 0)} : ${part('second', 2)} && srun -n1 --image=./x.sqsh cat /etc/component`,
      ),
      'first\n',
    );
  });

  it('leaves exit codes and signals of ranks as they are', async () => {
    const { code, stdout } = await site().run(
      `${inNewDirectory}; srun -n1 --image=$IMAGE --image-save=x.sqsh sh -c 'exit 7'; echo $?; srun -n1 --image=$IMAGE --image-save=y.sqsh sh -c 'kill -SEGV $$' 2>/dev/null; echo $?; ls`,
    );
    assert.equal(code, 0);
    assert.equal(stdout, '7\n139\nx.sqsh\ny.sqsh\n');
  });

  it('leaves a shell on a terminal its job control', async () => {
    const typed = ['tty', 'sleep 60', '\u0003echo new >/etc/new', 'sleep 60', '\u001afg', '\u0003exit 7'];
    const { code, stdout } = await site().run(
      `${inNewDirectory}; { sleep 2; ${typed.map((line) => `printf '%s\\r' '${line}'; sleep 0.3`).join(';')}; } |
       script --quiet --return --command "srun --pty --image=$IMAGE --image-save=x.sqsh sh" /dev/null; code=$?
       srun -n1 --image=./x.sqsh cat /etc/new; exit $code`,
    );
    assert.match(stdout, /\/dev\/pts\/\d+/);
    assert.match(stdout, /^new$/m);
    assert.equal(code, 7, stdout);
  });

  it('lets signals that are sent to the step through to its programs, once', async () => {
    assert.equal(
      await output(
        `srun -n1 --job-name=signalled --image=$IMAGE --image-save=x.sqsh sh -c 'trap "echo got >>/etc/got" USR1; touch $PWD/ready; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; done; cat /etc/got' & until [ -e ready ]; do sleep 0.1; done; scancel -s USR1 --name=signalled; wait; ls`,
      ),
      'got\nready\nx.sqsh\n',
    );
  });

  it('is refused to ranks that a debugger is to start, which do not run', async () => {
    const { stdout, stderr } = await site().run(
      `${inNewDirectory}; timeout 20 srun -n1 --debugger-test --image=$IMAGE --image-save=x.sqsh echo ran; ls`,
    );
    assert.equal(stdout, '');
    assert.match(stderr, /stowage: --image-save: a debugger cannot start ranks whose container is saved/);
    await site().cluster.waitUntilIdle();
    assert.equal(await site().output('sinfo -h -o %T'), 'idle\n');
  });

  it('shows in the exit code of the step that it could not be written', async () => {
    const { stdout, stderr } = await site().run(
      `${inNewDirectory}; srun -n1 --image=$IMAGE --image-save=x.tar sh -c 'echo >/.wh.x'; echo $?; ls`,
    );
    assert.equal(stdout, '1\n');
    assert.match(
      stderr,
      /stowage: n[12]: --image-save: .*\/x\.tar was not written: the container's \/\.wh\.x/,
    );
  });

  it('is refused before the step starts where it cannot be written', async () => {
    const { code, stdout, stderr } = await site().run(
      'srun -n1 --image=$IMAGE --image-save=/etc/x.sqsh echo ran',
    );
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /stowage: n[12]: --image-save=\/etc\/x\.sqsh: cannot write to its directory/);
  });

  it('leaves no file after scancel, neither while ranks run nor while it is written, and drains no node', async () => {
    const cancelled = async (script: string, when: string): Promise<void> => {
      const step = site().run(
        `${inNewDirectory}; srun -n2 -N1 --overcommit --job-name=cancelled --image=$IMAGE --image-save=x.sqsh sh -c '${script}'; echo "left: $(ls -A)"`,
      );
      await waitFor(() => runs(when), { failure: `no ${when}`, timeoutMs: 60_000 });
      await site().run('scancel --name=cancelled');
      const { stdout } = await step;
      assert.match(stdout, /left: \n$/);
      await waitFor(() => !runs(when), { failure: `${when} is left`, timeoutMs: 20_000 });
    };
    await cancelled('exec sleep 4711', 'sleep');
    await cancelled('head -c 100000000 /dev/urandom >/large.$SLURM_PROCID', 'mksquashfs');
    await site().cluster.waitUntilIdle();
    assert.equal(await site().output('sinfo -h -o %T'), 'idle\n');
  });
});
