import assert from 'node:assert/strict';

import { imageWithEntrypoint } from '../support/busybox-image.js';
import { batch } from './batch.js';
import { clusterSuite, inNewDirectory } from './cluster-suite.js';
import { sentencesIn } from './sentences.js';
import { inAllocation } from './trees.js';

clusterSuite("an image's entrypoint", {}, (site) => {
  /** Of an image whose entrypoint does as $ENTRY says. */
  let withEntrypoint: string;

  before(async () => {
    withEntrypoint = await site().push(await imageWithEntrypoint());
  });

  const run = (command: string) => site().run(command, { env: { IMAGE: withEntrypoint } });
  const output = (command: string): Promise<string> =>
    site().output(`${inNewDirectory}; ${command}`, { env: { IMAGE: withEntrypoint } });
  const tell = `sh -c 'echo $FROM_ENTRYPOINT in $(pwd)'`;
  const told = 'set by it in /srv\n';

  it('leaves every rank its environment and directory, and what Slurm tells a rank apart', async () => {
    const printed = await output(
      `srun -N2 -n4 --overcommit --image=$IMAGE --image-entrypoint sh -c 'echo $SLURM_PROCID $FROM_ENTRYPOINT in $(pwd)' | sort`,
    );
    assert.equal(printed, [0, 1, 2, 3].map((rank) => `${rank} ${told}`).join(''));
  });

  it('runs once in a step on a node, and its output goes to the standard error', async () => {
    const { stdout, stderr } = await run(
      `srun -N1 -n3 --overcommit --image=$IMAGE --image-entrypoint sh -c 'wc -l </srv/runs'`,
    );
    assert.equal(stdout, '1\n1\n1\n');
    assert.equal(stderr.match(/^banner$/gm)?.length, 1, stderr);
  });

  it('does not run unless it is asked for, and not if it is asked not to', async () => {
    const look = `sh -c 'echo ran "$FROM_ENTRYPOINT"'`;
    const one = await output(`srun -n1 --image=$IMAGE ${look}`);
    const other = await output(
      `STOWAGE_IMAGE_ENTRYPOINT=yes srun -n1 --image=$IMAGE --no-image-entrypoint ${look}`,
    );
    assert.deepEqual([one, other], ['ran \n', 'ran \n']);
  });

  it('runs for #SBATCH', async () => {
    const script = `#!/bin/bash\n#SBATCH --image-entrypoint\nsrun ${tell}`;
    const command = `${batch('--image=$IMAGE --output=out --error=errors', script)} && cat out`;
    assert.equal(await output(command), told);
  });

  it('runs for the environment', async () => {
    assert.equal(await output(`STOWAGE_IMAGE_ENTRYPOINT=yes srun -n1 --image=$IMAGE ${tell}`), told);
  });

  it('runs as root with --image-root', async () => {
    assert.equal(
      await output(
        `srun -n1 --image=$IMAGE --image-root --image-entrypoint sh -c 'echo $FROM_ENTRYPOINT in $(pwd), $ENTRYPOINT_UID'`,
      ),
      'set by it in /srv, 0\n',
    );
  });

  it('runs for a step in a container with a name', async () => {
    await inAllocation(site(), async (srun) => {
      await output(`${srun} --image=$IMAGE --image-name=x true`);
      assert.equal(await output(`${srun} --image-name=x --image-entrypoint ${tell}`), told);
    });
  });

  it('that fails ends the step, with one sentence and its exit code, before any rank runs', async () => {
    const { code, stdout, stderr } = await run(
      'ENTRY=fails srun -N1 -n2 --overcommit --image=$IMAGE --image-entrypoint echo ran',
    );
    assert.equal(code, 1);
    assert.equal(stdout, '');
    const [sentence = '', ...more] = sentencesIn(stderr);
    assert.match(
      sentence,
      /n\d: image .*: the image's entrypoint \/entry failed with exit code 9; --no-image-entrypoint leaves it out$/,
    );
    assert.deepEqual(more, []);
  });

  it('that does not end is ended by scancel, and drains no node', async () => {
    const { code, stdout } = await run(
      'ENTRY=hangs srun -n1 --job-name=hangs --image=$IMAGE --image-entrypoint echo ran & until [ "$(squeue -h -n hangs -t R)" ]; do sleep 0.1; done; sleep 1; scancel --name=hangs; wait $!',
    );
    assert.notEqual(code, 0);
    assert.equal(stdout, '');
    await site().cluster.waitUntilIdle();
    assert.equal(await site().output('sinfo -h -o %T'), 'idle\n');
  });

  it('may be missing: that is said, and ranks run', async () => {
    const { code, stdout, stderr } = await site().run('srun -n1 --image=$IMAGE --image-entrypoint echo ran');
    assert.deepEqual([code, stdout], [0, 'ran\n']);
    assert.match(stderr, /the image has no entrypoint to run; ranks start without one/);
  });
});
