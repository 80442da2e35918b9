import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';

import { clusterSuite, inNewDirectory } from './cluster-suite.js';
import { inAllocation, treesDirectory } from './trees.js';

clusterSuite('a container with a name', {}, (site) => {
  const output = (command: string): Promise<string> => site().output(command);
  const named = (node: string): string => `${treesDirectory(site(), node)}/named`;

  it('is kept for the next step of the job, and gone with the job', async () => {
    await inAllocation(site(), async (srun) => {
      await output(`${srun} --image=$IMAGE --image-name=x sh -c 'echo kept >/etc/new; rm /etc/motd'`);
      assert.equal(
        await output(`${srun} --image-name=x sh -c 'cat /etc/new; ls /etc/motd 2>/dev/null || echo gone'`),
        'kept\ngone\n',
      );
      assert.ok(existsSync(named('n1')));
    });
    await site().cluster.waitUntilIdle();
    assert.ok(!existsSync(named('n1')));
    const { code, stderr } = await site().run('srun -n1 --nodelist=n1 --image-name=x true');
    assert.equal(code, 1);
    assert.match(stderr, /n1: container 'x': this job has no such container on this node; say with --image/);
  });

  it('is joined while it runs, by steps that see the same files', async () => {
    await inAllocation(site(), async (srun) => {
      const printed = await output(
        `${inNewDirectory}
         ${srun} --overlap --image=$IMAGE --image-name=x sh -c 'echo first >/etc/new; touch $PWD/ready; until [ -e /etc/go ]; do usleep 20000; done; cat /etc/go; readlink /proc/self/ns/mnt' &
         until [ -e ready ]; do sleep 0.1; done
         ${srun} --overlap --image-name=x sh -c 'cat /etc/new; readlink /proc/self/ns/mnt; echo of the second >/etc/go.half; mv /etc/go.half /etc/go' >second
         wait $!; cat second`,
      );
      assert.match(printed, /^of the second\n(mnt:\[\d+\])\nfirst\n\1\n$/);
    });
  });

  it('goes on for a step that joined it when the step that started it ends', async () => {
    await inAllocation(site(), async (srun) => {
      const first = output(
        `${srun} --overlap --image=$IMAGE --image-name=x sh -c 'until [ -e /etc/joined ]; do usleep 20000; done'`,
      );
      const second = output(
        `${srun} --overlap --image=$IMAGE --image-name=x sh -c 'echo >/etc/joined; until [ -e /etc/third ]; do usleep 20000; done; cat /etc/third'`,
      );
      await first;
      await output(`${srun} --overlap --image-name=x:exec sh -c 'echo third >/etc/h; mv /etc/h /etc/third'`);
      assert.equal(await second, 'third\n');
    });
  });

  it('is started once by many steps that begin together', async () => {
    await inAllocation(site(), async (srun) => {
      const step = `${srun} --overlap --image=$IMAGE --image-name=x sh -c 'echo $SLURM_STEP_ID >>/etc/steps; until [ $(wc -l </etc/steps) = 5 ]; do usleep 20000; done; readlink /proc/self/ns/mnt'`;
      const seen = await Promise.all(Array.from({ length: 5 }, () => output(step)));
      assert.equal(new Set(seen).size, 1);
    });
  });

  it('is one on each node, for all ranks there', async () => {
    const { stdout } = await site().run(
      `salloc -N2 -n4 --overcommit sh -c 'srun --image=$IMAGE --image-name=x sh -c "echo r >>/etc/ranks" && srun --image-name=x sh -c "wc -l </etc/ranks"'`,
    );
    assert.equal(stdout, '2\n2\n2\n2\n');
  });

  it('is refused with another image, naming both digests, and no rank runs on the host', async () => {
    await inAllocation(site(), async (srun) => {
      await output(`${srun} --image=$IMAGE --image-name=x true`);
      const { code, stdout, stderr } = await site().run(
        `mkdir -p ~/other/etc; ${srun} --image=$HOME/other --image-name=x echo ran; code=$?; rm -r ~/other; exit $code`,
      );
      assert.equal(stdout, '');
      assert.match(
        stderr,
        /container 'x' was made from .* \(sha256:[0-9a-f]{64}\), and .*\/other is now a directory/,
      );
      assert.equal(code, 1);
    });
  });

  it('ends with scancel, and the layer can be used again', async () => {
    await inAllocation(site(), async (srun) => {
      const first = site().run(
        `${srun} --job-name=long --image=$IMAGE --image-name=x sh -c 'echo kept >/etc/new; sleep 600'`,
      );
      await output(
        `until ${srun} --overlap --image-name=x:exec test -e /etc/new 2>/dev/null; do sleep 0.2; done; scancel $(squeue -hs --name=long -o %i)`,
      );
      await first;
      assert.equal(await output(`${srun} --image-name=x:no_exec cat /etc/new`), 'kept\n');
    });
  });
});
