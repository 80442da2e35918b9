import { chmodSync, writeFileSync } from 'node:fs';

import { type Cluster, startCluster, stopCluster } from '../cluster/cluster.js';
import { progress } from '../demo/progress.js';
import { busyboxImage } from '../support/busybox-image.js';
import { pushImage } from '../support/oci-image.js';
import { describeMachine } from './machine.js';
import { type MeasuredStart, startRow, startTable } from './start-report.js';
import { phaseTable, type Phases, phasesOf } from './start-phases.js';
import { StepTrace } from './step-trace.js';

export interface StartOptions {
  /** Runs of each command. */
  readonly rounds: number;
  /** Part of the names of the cases to measure. */
  readonly only: string;
  /** Where to write the rows as JSON. */
  readonly json: string | undefined;
  /** A directory that the caller removes. */
  readonly scratch: string;
}

const user = 'stow-a';
const wishes = [1, 16, 64].map((ranks) => ({ name: ranks === 1 ? '1 rank' : `${ranks} ranks`, ranks }));
/** Steps of which the phases are looked at, after all others: they are traced. */
const tracedSteps = 10;

/** The same file in the image and on the host. */
const program = ['/bin/busybox', 'true'];

/**
 * Prints one time in microseconds for each command, in the order in which they were given. Each goes first every other
 * time, so that neither finds the machine warmer.
 */
const clock = `
count=$1 ranks=$2 image=$3; shift 3
bare() { srun --overlap --ntasks=$ranks "$@"; }
inside() { srun --overlap --quiet --ntasks=$ranks --image=$image "$@"; }
measure() {
    local start=$EPOCHREALTIME
    "$@" || exit 1
    local end=$EPOCHREALTIME
    echo "$1 $(( \${end/./} - \${start/./} ))"
}
for warm_up in 1 2; do bare "$@" && inside "$@" || exit 1; done
for ((i = 0; i < count; i++)); do
    if ((i % 2)); then measure bare "$@"; measure inside "$@"; else measure inside "$@"; measure bare "$@"; fi
done`;

interface Samples {
  readonly bare: number[];
  readonly image: number[];
}

const allocate = async (
  cluster: Cluster,
  ranks: number,
  command: readonly string[],
  signal: AbortSignal,
): Promise<string> => {
  const argv = ['salloc', '--quiet', '--nodes=1', `--ntasks=${ranks}`, ...command];
  const { code, stdout, stderr } = await cluster.run(user, argv, { timeoutMs: 600_000, signal });
  signal.throwIfAborted();
  if (code !== 0) throw new Error(`a timed srun failed:\n${stderr}`);
  return stdout;
};

const timeSteps = async (
  cluster: Cluster,
  image: string,
  { ranks, count }: { readonly ranks: number; readonly count: number },
  signal: AbortSignal,
): Promise<Samples> => {
  const command = ['bash', '-c', clock, 'clock', String(count), String(ranks), image, ...program];
  const stdout = await allocate(cluster, ranks, command, signal);
  const times = (name: string): number[] =>
    [...stdout.matchAll(new RegExp(`^${name} (\\d+)$`, 'gm'))].map(
      ([, microseconds]) => Number(microseconds) / 1000,
    );
  return { bare: times('bare'), image: times('inside') };
};

/** The phases of steps with the image, each seen from outside by the kernel's own events. */
const traceSteps = async (
  cluster: Cluster,
  image: string,
  ranks: number,
  signal: AbortSignal,
): Promise<readonly Phases[]> => {
  const helper = `${cluster.layout.prefix}/libexec/stowage/stowage-enter`;
  const step = `srun --overlap --quiet --ntasks=${ranks} --image=${image} ${program.join(' ')}`;
  const steps = `${step} && for ((i = 0; i < ${tracedSteps}; i++)); do ${step} || exit; done`;
  const trace = StepTrace.start();
  try {
    await allocate(cluster, ranks, ['bash', '-c', steps], signal);
    // The first one unpacks.
    return phasesOf(trace.read(), helper).slice(1);
  } finally {
    trace.stop();
  }
};

/** Measures what an image that is warm adds to srun, and prints and writes the result. */
export const benchStart = async (options: StartOptions, signal: AbortSignal): Promise<void> => {
  const { rounds, only, json, scratch } = options;
  const wanted = wishes.filter(({ name }) => name.includes(only));
  if (wanted.length === 0)
    throw new Error(`no case is named "${only}"; there are ${wishes.map(({ name }) => name).join('; ')}`);
  console.log(`Machine: ${describeMachine()}`);
  chmodSync(scratch, 0o755);
  const stateDirectory = `${scratch}/cluster`;
  try {
    const cluster = await progress('Starting a Slurm cluster of one node', () =>
      startCluster({ stateDirectory, signal }),
    );
    const image = await pushImage(
      await busyboxImage(signal),
      cluster.registryHost,
      'bench/busybox:1',
      signal,
    );
    const measured: MeasuredStart[] = [];
    for (const { name, ranks } of wanted) {
      const samples = await progress(`${name}: ${rounds} runs of each`, () =>
        timeSteps(cluster, image, { ranks, count: rounds }, signal),
      );
      const phases = await progress(`${name}: where the time goes`, () =>
        traceSteps(cluster, image, ranks, signal),
      );
      measured.push({ name, ranks, ...samples, phases });
    }
    const rows = measured.map(startRow);
    console.log(['', ...startTable(rows), '', ...phaseTable(measured), '', ...explain(rounds)].join('\n'));
    if (json !== undefined) writeFileSync(json, `${JSON.stringify(rows, null, 2)}\n`);
  } finally {
    await stopCluster(stateDirectory);
  }
};

const explain = (rounds: number): string[] => [
  `Medians of ${rounds} interleaved runs in one allocation, from the start of srun to its end, by an ordinary user; each`,
  'rank runs "busybox true". The image is unpacked on the node. overhead: the median of the differences of neighbours.',
  `Phases: medians of ${tracedSteps} more steps, from the time stamps of the kernel (tracefs).`,
];
