/** What `npm run bench -- mpi` makes of what its program prints. */
import assert from 'node:assert/strict';

import { mpiRow } from '../bench/mpi/mpi-report.js';
import { parsePingPong } from '../bench/mpi/pingpong.js';

const rank = 'setting library=MPICH path=/lib/libmpi.so.12 user_namespace=user:[1] image=none';
const printed = (latency: number, bandwidth: number): string =>
  [rank, `latency 8 ${latency}`, `bandwidth 8 ${bandwidth}`, 'copies 3 4096 1', rank, ''].join('\n');
const run = (latency: number, bandwidth: number) => parsePingPong(printed(latency, bandwidth));

describe('messages between MPI ranks', () => {
  it('are read from what two ranks print, in whatever order', () => {
    const { ranks, latency, bandwidth, copies } = run(0.25, 40);
    assert.deepEqual(
      ranks.map(({ library, path }) => [library, path]),
      Array(2).fill(['MPICH', '/lib/libmpi.so.12']),
    );
    assert.deepEqual([[...latency], [...bandwidth]], [[[8, 0.25]], [[8, 40]]]);
    assert.deepEqual(copies, { reads: 3, bytes: 4096, failed: 1 });
  });

  it('are not taken from ranks that were alone or did not end', () => {
    for (const output of ['', rank, printed(1, 1).replace(rank, ''), printed(1, 1).replace('copies', '')])
      assert.throws(() => parsePingPong(output), /not what two ranks of pingpong print/);
  });

  it('are compared round by round', () => {
    const row = mpiRow('MPICH, one node', [
      { host: run(1, 100), image: run(1.1, 90) },
      { host: run(2, 50), image: run(2, 50) },
      { host: run(4, 25), image: run(4.2, 25) },
    ]);
    assert.deepEqual([row.latency_ratio, row.bandwidth_ratio], [1.05, 1]);
    assert.deepEqual(
      row.latency_us.map(({ image_runs }) => image_runs),
      [[1.1, 2, 4.2]],
    );
    assert.deepEqual([row.latency_us.map(({ host }) => host), row.image_copies], [[2], 3]);
  });
});
