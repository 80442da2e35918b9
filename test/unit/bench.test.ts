/** The parts of `npm run bench` that measure nothing: what the image is, and how numbers become a table. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

import { hasRun } from '../bench/contenders.js';
import { contentOf } from '../bench/image/bench-image.js';
import { planImage, type PlannedEntry } from '../bench/image/plan.js';
import { layerEntries, tarStream } from '../bench/image/tar-stream.js';
import { pullRow } from '../bench/pull-report.js';
import { rowOf } from '../bench/report.js';
import { phasesOf } from '../bench/start-phases.js';
import { startRow, startTable } from '../bench/start-report.js';
import { parseTrace } from '../bench/step-trace.js';
import { parseUsage } from '../bench/stowage-unpack.js';
import { parseSystemCalls } from '../bench/system-calls.js';
import { table } from '../bench/table.js';
import { contentBelow } from '../bench/tree.js';
import { median } from '../support/median.js';

const size = { entries: 1000, bytes: 10_000_000, layers: 12 };
const plan = planImage(size);

const tarOf = (entries: readonly PlannedEntry[]): Buffer => Buffer.concat([...tarStream(entries)]);

const unpackByTar = (tars: readonly Buffer[], directory: string): void => {
  for (const tar of tars)
    execFileSync('tar', ['--extract', '--no-same-owner', '--directory', directory], { input: tar });
};

describe('the image of the benchmark', () => {
  let directory: string;
  beforeEach(() => (directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stowage-bench-test-'))));
  afterEach(() => fs.rmSync(directory, { recursive: true }));

  it('is the same each time, to the byte', () => {
    const digest = () =>
      createHash('sha256')
        .update(tarOf(planImage(size)))
        .digest('hex');
    assert.equal(digest(), digest());
  });

  it('has the entries and bytes that were asked for, in the proportions of a Debian', () => {
    const count = (type: PlannedEntry['type']) => plan.filter((entry) => entry.type === type).length;
    assert.equal(plan.length, size.entries);
    assert.equal(new Set(plan.map((entry) => entry.path)).size, size.entries, 'no path twice');
    assert.deepEqual(
      [count('directory'), count('symlink'), count('hard link'), count('file')],
      [80, 100, 2, 818],
    );
    const sizes = plan.flatMap((entry) => (entry.type === 'file' ? [entry.size] : []));
    assert.equal(
      sizes.reduce((total, bytes) => total + bytes, 0),
      size.bytes,
    );
    assert.ok(median(sizes) < 3000, `median ${median(sizes)}`);
    assert.ok(Math.max(...sizes) >= 700_000, `largest ${Math.max(...sizes)}`);
  });

  it('is what GNU tar makes of its one layer and of its twelve', () => {
    const layers = Array.from({ length: size.layers }, (_, layer) => tarOf(layerEntries(plan, layer)));
    for (const [name, tars] of Object.entries({ one: [tarOf(plan)], twelve: layers })) {
      const root = path.join(directory, name);
      fs.mkdirSync(root);
      unpackByTar(tars, root);
      assert.deepEqual(contentBelow(root), contentOf(plan), name);
    }
    // Throws if they differ.
    execFileSync('diff', ['-r', '--no-dereference', 'one', 'twelve'], { cwd: directory });
  });

  it('has links that lead to what is there', () => {
    const paths = new Set(plan.map((entry) => entry.path));
    for (const entry of plan) {
      if (entry.type !== 'symlink' && entry.type !== 'hard link') continue;
      const from = entry.type === 'symlink' ? `/${path.dirname(entry.path)}` : '/';
      assert.ok(paths.has(path.resolve(from, entry.target).slice(1)), `${entry.path} -> ${entry.target}`);
    }
  });

  it('compresses about three to one', () => {
    const tar = tarOf(plan);
    const ratio = tar.length / gzipSync(tar, { level: 6 }).length;
    assert.ok(ratio > 2.5 && ratio < 4, `ratio ${ratio}`);
  });
});

describe('the numbers of the benchmark', () => {
  it('takes the middle of an odd and of an even count', () => {
    assert.equal(median([5, 1, 3]), 3);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.ok(Number.isNaN(median([])));
  });

  it('spreads the runs of the slow over the rounds', () => {
    const rounds = (runs: number) => [0, 1, 2, 3, 4].filter((round) => hasRun(runs, round, 5));
    assert.deepEqual(rounds(Infinity), [0, 1, 2, 3, 4]);
    assert.deepEqual(rounds(3), [1, 3, 4]);
    assert.deepEqual(rounds(1), [4]);
    assert.ok(hasRun(3, 0, 1), 'in a single round everybody runs');
  });

  it('reads the summaries of strace and GNU time', () => {
    const summary =
      '    calls syscall\n--------- ----------------\n       12 openat\n        3 futex\n--------- -----\n       15 total\n';
    assert.deepEqual(parseSystemCalls(summary), { openat: 12, futex: 3 });
    assert.throws(() => parseSystemCalls(''), /no total/);
    assert.deepEqual(parseUsage('a warning\nused 2048 3.50 1.25\n'), {
      peakBytes: 2 << 20,
      cpuSeconds: 4.75,
    });
    assert.throws(() => parseUsage('a warning\n'), /did not say/);
  });

  it('makes a row of medians, ratios, and null for what was not measured', () => {
    const image = { entries: 10, bytes: 100, directory: 'not for the row' };
    const row = rowOf({
      name: 'gzip, 1 layer',
      content: image,
      seconds: new Map([
        ['stowage', [3, 2, 9]],
        ['floor', [2, 2, 2]],
        ['gzip_tar', [10]],
      ]),
      usage: [
        { peakBytes: 7, cpuSeconds: 2 },
        { peakBytes: 5, cpuSeconds: 3 },
        { peakBytes: 6, cpuSeconds: 9 },
      ],
      calls: { openat: 20, close: 25 },
    });
    assert.deepEqual(
      { ...row, seconds: undefined, syscalls: undefined },
      {
        case: 'gzip, 1 layer',
        entries: 10,
        bytes: 100,
        stowage_s: 3,
        stowage_cpu_s: 3,
        registry_s: null,
        floor_s: 2,
        ratio_to_floor: 1.5,
        tar_s: null,
        ratio_to_tar: null,
        gzip_tar_s: 10,
        ratio_to_gzip_tar: 0.3,
        zstd_tar_s: null,
        bsdtar_s: null,
        umoci_s: null,
        peak_rss_bytes: 7,
        syscalls_per_file: 4.5,
        syscalls: undefined,
        seconds: undefined,
      },
    );
  });

  it('compares a pull with both ways of curl, and counts the most memory of any run', () => {
    const row = pullRow({
      name: '12 layers',
      bytes: 100e6,
      stowage: [0.5, 0.25, 1],
      curl: [0.5, 0.5, 0.5],
      curlParallel: [0.4, 0.4, 0.4],
      peakBytes: [7, 9, 8],
      idleBytes: [5, 4, 3],
    });
    assert.deepEqual(
      { ...row, seconds: undefined },
      {
        case: '12 layers',
        stowage_mb_s: 200,
        curl_mb_s: 200,
        ratio: 1,
        daemon_peak_rss_bytes: 9,
        daemon_idle_rss_bytes: 5,
        curl_parallel_mb_s: 250,
        ratio_to_parallel: 0.8,
        bytes: 100e6,
        seconds: undefined,
      },
    );
  });

  it('aligns a table', () => {
    assert.deepEqual(
      table([
        ['case', 's'],
        ['a', '10.5'],
      ]),
      ['case     s', 'a     10.5'],
    );
  });
});

describe('what an image adds to srun', () => {
  const trace = `# tracer: nop
           slurmd-5       [000] .....   100.000000: sched_process_fork: comm=slurmd pid=5 child_comm=slurmstepd child_pid=10
       slurmstepd-10      [000] .....   100.010000: sched_process_fork: comm=slurmstepd pid=10 child_comm=slurmstepd child_pid=11
       slurmstepd-10      [000] .....   100.011000: sched_process_fork: comm=slurmstepd pid=10 child_comm=slurmstepd child_pid=12
       slurmstepd-11      [001] d..1.   100.014000: sched_process_fork: comm=slurmstepd pid=11 child_comm=slurmstepd child_pid=13
    stowage-enter-13      [000] .....   100.015000: sched_process_exec: filename=/x/stowage-enter pid=13 old_pid=13
             srun-99      [000] .....   100.015500: sys_sendto(fd: 3, buff: 7ffe, len: 10, flags: 4000, addr: 0, addr_len: 0)
    stowage-enter-13      [000] .....   100.016000: sys_sendto(fd: 4, buff: 7ffe, len: 138, flags: 4040, addr: 0, addr_len: 0)
    stowage-enter-13      [000] .....   100.019000: sys_unshare(unshare_flags: 10020000)
    stowage-enter-13      [001] .....   100.020000: sys_pivot_root(new_root: 55d, put_old: 55d)
    stowage-enter-13      [001] .....   100.020500: sched_process_exit: comm=stowage-enter pid=13 prio=120
       slurmstepd-11      [001] .....   100.021000: sys_setns(fd: 10, flags: 10020000)
       slurmstepd-12      [000] .....   100.021500: sys_setns(fd: 10, flags: 10020000)
          busybox-11      [001] .....   100.022000: sched_process_exec: filename=/bin/busybox pid=11 old_pid=11
          busybox-12      [000] .....   100.024500: sched_process_exec: filename=/bin/busybox pid=12 old_pid=12
    stowage-enter-70      [000] .....   100.030000: sched_process_exec: filename=/x/stowage-enter pid=70 old_pid=70
`;
  const rounded = (phases: object) =>
    Object.fromEntries(Object.entries(phases).map(([name, ms]) => [name, Number((ms as number).toFixed(3))]));

  it('is told by phase from the events of the kernel, of steps that are whole', () => {
    assert.deepEqual(phasesOf(parseTrace(trace), '/x/stowage-enter').map(rounded), [
      { slurm: 4, fork: 1, begin: 1, prepare: 3, mount: 1, finish: 0.5, join: 1.5, others: 2.5 },
    ]);
    assert.deepEqual(phasesOf(parseTrace(trace), '/y/stowage-enter'), []);
  });

  const row = (ranks: number, added: number) =>
    startRow({ name: `${ranks}`, ranks, bare: [10, 50, 11], image: [12, 50 + added, 14], phases: [] });

  it('is the median of the differences between neighbours, whatever slowed both', () => {
    assert.deepEqual(
      { ...row(1, 2.5), runs_ms: undefined },
      {
        ...{ case: '1', ranks: 1, bare_ms: 11, image_ms: 14, overhead_ms: 2.5, fastest_overhead_ms: 2 },
        ...{ phases_ms: {}, runs_ms: undefined },
      },
    );
  });

  it('is told for each further rank', () => {
    assert.match(startTable([row(1, 2.5), row(6, 3)])[2] ?? '', / 0\.100 ms$/);
  });
});
