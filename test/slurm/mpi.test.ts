import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { release } from 'node:os';

import { parsePingPong } from '../bench/mpi/pingpong.js';
import { account } from '../cluster/users.js';
import type { Suite } from '../support/debian-base.js';
import { debianImage } from '../support/debian-image.js';
import { clusterSuite, inNewDirectory, user } from './cluster-suite.js';
import { mpichTestMs, outputOfMpich } from './mpich.js';

/** What the test program prints of each rank, see test/support/debian-mpi/hello.c. */
const rankLine = /^rank=(\d+) size=(\d+) sum=(\d+) node=(\S+) image="([^"]+)" kernel=(\S+) uid=(\d+)$/gm;

const libraries = [
  ['openmpi', 'pmix'],
  ['mpich', 'pmi2'],
] as const;

const releases = [
  ['bookworm', '12', 'Open MPI 4.1 and MPICH 4.0'],
  ['trixie', '13', 'Open MPI 5.0 and MPICH 4.2'],
] as const;

clusterSuite('MPI of an image', { ownNetworks: true }, (site) => {
  const images = new Map<Suite, string>();

  before(async function () {
    this.timeout(1_800_000);
    for (const [suite] of releases) images.set(suite, await site().push(await debianImage(undefined, suite)));
  });

  for (const [suite, version, what] of releases) {
    describe(`Debian ${version}: ${what}`, () => {
      const image = (): string => images.get(suite) ?? '';
      // Open MPI 4.1 of Debian prefers libfabric even within a node, which copies nothing by CMA here.
      const env: Record<string, string> = suite === 'bookworm' ? { OMPI_MCA_pml: 'ob1' } : {};

      for (const [library, plugin] of libraries) {
        it(`${library} over --mpi=${plugin}: four ranks on two nodes sum up their numbers`, async function () {
          this.timeout(mpichTestMs);
          const command = `srun -N2 -n4 --ntasks-per-node=2 --mpi=${plugin} --image=${image()} hello-${library}`;
          const printed = await (library === 'mpich'
            ? outputOfMpich(site(), command)
            : site().output(command));
          const ranks = [...printed.matchAll(rankLine)];
          assert.equal(ranks.length, 4, printed);
          assert.deepEqual(ranks.map(([, rank]) => rank).sort(), ['0', '1', '2', '3']);
          assert.deepEqual(ranks.map(([, , , , node]) => node).sort(), ['n1', 'n1', 'n2', 'n2']);
          for (const [, , size, sum, , name, kernel, uid] of ranks) {
            assert.deepEqual([size, sum, kernel, uid], ['4', '6', release(), String(account(user).uid)]);
            assert.match(name ?? '', new RegExp(`Debian GNU/Linux ${version}`));
          }
        });

        it(`${library}: ranks of one node read each other's memory (process_vm_readv)`, async () => {
          const printed = await site().output(
            `srun -N1 -n2 --mpi=${plugin} --image=${image()} cma-${library}`,
          );
          assert.equal(printed.match(/cma=ok/g)?.length, 2, printed);
        });

        it(`${library} itself copies large messages that way, with one copy`, async () => {
          const { copies } = parsePingPong(
            await site().output(
              `srun -N1 -n2 --mpi=${plugin} --image=${image()} pingpong-${library} 262144`,
              { env },
            ),
          );
          assert.ok(copies.reads > 0 && copies.bytes > 0, JSON.stringify(copies));
        });
      }

      it('openmpi: ranks that leave the user namespace of their step can no longer', async () => {
        const { code, stdout } = await site().run(
          `srun -N1 -n2 --mpi=pmix --image=${image()} unshare --user --map-current-user cma-openmpi`,
        );
        assert.notEqual(code, 0);
        assert.match(stdout, /cma=failed/);
      });
    });
  }

  it('the ranks of a node share all namespaces, which are not those of the node nor of another one', async () => {
    const each = 'for name in user mnt ipc net pid; do readlink /proc/self/ns/$name; done';
    // The number of a namespace is used again when nobody is in it any more.
    const together = '>rank-$SLURM_PROCID; until [ $(ls | wc -l) = 6 ]; do sleep 0.1; done';
    const printed = await site().output(
      `${inNewDirectory}; srun -N2 -n6 --ntasks-per-node=3 --label --image=$IMAGE sh -c '${together}; echo $SLURMD_NODENAME $(${each})'`,
    );
    const lines = printed.trimEnd().split('\n');
    const [first = [], second = []] = ['n1', 'n2'].map((node) => [
      ...new Set(lines.map((line) => line.replace(/^\d+: /, '')).filter((line) => line.startsWith(node))),
    ]);
    assert.equal(lines.length, 6);
    assert.deepEqual([first.length, second.length], [1, 1], printed);
    for (const name of ['user', 'mnt']) {
      const [one, other] = [first, second].map(([line = '']) =>
        line.split(' ').find((at) => at.startsWith(name)),
      );
      assert.notEqual(one, other);
      assert.notEqual(one, readlinkSync(`/proc/self/ns/${name}`));
    }
    // What fabrics look up in the network namespace is the node's.
    const bare = await site().output(
      "srun -N2 -n2 sh -c 'echo $SLURMD_NODENAME $(readlink /proc/self/ns/net)'",
    );
    const networks = new Map(
      bare
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' ') as [string, string]),
    );
    assert.equal(new Set(networks.values()).size, 2, bare);
    for (const [line = ''] of [first, second])
      assert.ok(line.includes(networks.get(line.slice(0, 2)) ?? 'none'), `${printed}${bare}`);
  });

  it('ranks of a node find in /dev/shm what another rank put there', async () => {
    const file = '/dev/shm/stowage-test-$SLURM_JOB_ID';
    const wait = (name: string): string =>
      `i=0; until [ -e ${name} ] || [ $((i += 1)) -gt 100 ]; do sleep 0.1; done`;
    const first = `echo from rank 0 >${file}.new; mv ${file}.new ${file}; ${wait(`${file}.seen`)}; cat ${file}; rm ${file}*`;
    const second = `${wait(file)}; cat ${file}; touch ${file}.seen`;
    const printed = await site().output(
      `srun -N1 -n2 --image=$IMAGE sh -c 'if [ $SLURM_PROCID = 0 ]; then ${first}; else ${second}; fi'`,
    );
    assert.equal(printed, 'from rank 0\nfrom rank 0\n');
  });
});
