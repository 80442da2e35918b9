import assert from 'node:assert/strict';
import { release } from 'node:os';

import { account } from '../cluster/users.js';
import { debianImage } from '../support/debian-image.js';
import { clusterSuite, user } from './cluster-suite.js';

/** What the test program prints of each rank, see test/support/debian-mpi/hello.c. */
const rankLine = /^rank=(\d+) size=(\d+) sum=(\d+) node=(\S+) image="([^"]+)" kernel=(\S+) uid=(\d+)$/gm;

clusterSuite('MPI in an image of another release', {}, (site) => {
  let image: string;

  before(async function () {
    this.timeout(900_000);
    image = await site().push(await debianImage());
  });

  for (const [library, plugin] of [
    ['openmpi', 'pmix'],
    ['mpich', 'pmi2'],
  ] as const) {
    it(`${library} over --mpi=${plugin}: four ranks on two nodes sum up their numbers`, async () => {
      const printed = await site().output(
        `srun -N2 -n4 --ntasks-per-node=2 --mpi=${plugin} --image=${image} hello-${library}`,
      );
      const ranks = [...printed.matchAll(rankLine)];
      assert.equal(ranks.length, 4, printed);
      assert.deepEqual(ranks.map(([, rank]) => rank).sort(), ['0', '1', '2', '3']);
      for (const [, , size, sum, node, name, kernel, uid] of ranks) {
        assert.deepEqual([size, sum, kernel, uid], ['4', '6', release(), String(account(user).uid)]);
        assert.match(name ?? '', /Debian GNU\/Linux 13/);
        assert.match(node ?? '', /^n[12]$/);
      }
    });

    it(`${library}: ranks of one node read each other's memory (process_vm_readv)`, async () => {
      const printed = await site().output(`srun -N1 -n2 --mpi=${plugin} --image=${image} cma-${library}`);
      assert.equal(printed.match(/cma=ok/g)?.length, 2, printed);
    });
  }
});
