/** What `npm run bench -- mpi` makes of what its program prints. */
import assert from 'node:assert/strict';

import { mpiRow } from '../bench/mpi/mpi-report.js';
import { parsePingPong } from '../bench/mpi/pingpong.js';

const rank = 'setting library=MPICH path=/lib/libmpi.so.12 user_namespace=user:[1] image=none';
const printed = (latency: number, bandwidth: number, handover = '0 0'): string =>
  [
    rank,
    `latency 8 ${latency} ${handover}`,
    `bandwidth 8 ${bandwidth} ${handover}`,
    'copies 3 4096 1',
    rank,
    '',
  ].join('\n');
const run = (latency: number, bandwidth: number, handover?: string) =>
  parsePingPong(printed(latency, bandwidth, handover));

describe('messages between MPI ranks', () => {
  it('are read from what two ranks print, in whatever order', () => {
    const { ranks, latency, bandwidth, copies } = run(0.25, 40, '48.9 50');
    assert.deepEqual(
      ranks.map(({ library, path }) => [library, path]),
      Array(2).fill(['MPICH', '/lib/libmpi.so.12']),
    );
    assert.deepEqual(
      [[...latency], [...bandwidth]],
      [[[8, { value: 0.25, handover: 48.9 }]], [[8, { value: 40, handover: 48.9 }]]],
    );
    assert.deepEqual(copies, { reads: 3, bytes: 4096, failed: 1 });
  });

  it('are not taken from ranks that were alone or did not end', () => {
    for (const output of ['', rank, printed(1, 1).replace(rank, ''), printed(1, 1).replace('copies', '')])
      assert.throws(() => parsePingPong(output), /not what two ranks of pingpong print/);
  });

  it('are compared at their best', () => {
    const row = mpiRow('MPICH, two nodes', [
      { host: run(4, 25), image: run(1.1, 90) },
      { host: run(2, 50), image: run(2, 50) },
      { host: run(1, 100), image: run(4.2, 25) },
    ]);
    assert.deepEqual([row.latency_ratio, row.bandwidth_ratio, row.image_copies], [1.1, 0.9, 3]);
    assert.deepEqual(
      row.latency_us.map(({ host, image, image_runs }) => [
        host,
        image,
        image_runs.map(({ value }) => value),
      ]),
      [[1, 1.1, [1.1, 2, 4.2]]],
    );
  });

  it('are compared only while the processors are as far from each other', () => {
    const row = mpiRow('MPICH, one node', [
      { host: run(0.2, 90, '49 50'), image: run(0.6, 30, '245 244') },
      { host: run(0.5, 35, '240 250'), image: run(0.65, 28, '250 245') },
      { host: run(0.61, 31, '249 241'), image: run(0.1, 99, '21 21') },
      { host: run(0.1, 99, '21 245'), image: run(0.1, 99, '21 245') },
    ]);
    assert.deepEqual([row.latency_ratio, row.bandwidth_ratio], [1.2, 0.857]);
    assert.deepEqual(
      row.latency_us.map(({ handover_ns }) => handover_ns),
      [240],
    );
  });

  it('are not compared where they never were', () => {
    const row = mpiRow('MPICH, one node', [{ host: run(1, 1, '49 49'), image: run(1, 1, '245 245') }]);
    assert.deepEqual([row.latency_us, row.bandwidth_mb_s], [[], []]);
  });
});
