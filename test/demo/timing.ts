import type { Cluster } from '../cluster/cluster.js';
import { median } from '../support/median.js';

/** Milliseconds of single srun commands from start to end. */
export interface Timings {
  /** Without an image. */
  readonly bare: readonly number[];
  /** The image lies unpacked on the node. */
  readonly warm: readonly number[];
  /** The layers lie on the node, packed. */
  readonly packed: readonly number[];
  /** Nothing of the image is on the node. */
  readonly cold: readonly number[];
}

/** Runs each command that often, in turn so that both see the same machine; prints a time per run. */
const clock = `
count=$1; shift
for ((i = 0; i < count; i++)); do
    for command in "$@"; do
        start=$EPOCHREALTIME
        $command || exit 1
        end=$EPOCHREALTIME
        echo "time $(( (\${end/./} - \${start/./}) ))"
    done
done`;

/** Times the commands inside one allocation, so that waiting for resources does not count. */
const timeInside = async (
  cluster: Cluster,
  user: string,
  count: number,
  commands: readonly string[],
  signal: AbortSignal,
): Promise<number[][]> => {
  const argv = [
    'salloc',
    '--quiet',
    '--nodes=1',
    '--ntasks=1',
    'bash',
    '-c',
    clock,
    'clock',
    String(count),
    ...commands,
  ];
  const { code, stdout, stderr } = await cluster.run(user, argv, { timeoutMs: 300_000, signal });
  signal.throwIfAborted();
  if (code !== 0) throw new Error(`a timed srun failed:\n${stderr}`);
  const times = [...stdout.matchAll(/^time (\d+)$/gm)].map(([, microseconds]) => Number(microseconds) / 1000);
  return commands.map((_, index) => times.filter((__, i) => i % commands.length === index));
};

export const measure = async (
  cluster: Cluster,
  user: string,
  image: string,
  signal: AbortSignal,
): Promise<Timings> => {
  const bareCommand = 'srun true';
  const imageCommand = `srun --quiet --image=${image} true`;
  const cold: number[] = [];
  const packed: number[] = [];
  for (let i = 0; i < 3; i++) {
    await cluster.waitUntilIdle(30_000, signal);
    await cluster.daemon.stop();
    cluster.emptyStores();
    await cluster.daemon.start();
    // The first job of the two fetches; when it ends its tree goes, and the second has only the layers.
    for (const times of [cold, packed]) {
      const [[ms = Number.NaN] = []] = await timeInside(cluster, user, 1, [imageCommand], signal);
      times.push(ms);
      await cluster.waitUntilIdle(30_000, signal);
    }
  }
  const [[] = [], bare = [], warm = []] = await timeInside(
    cluster,
    user,
    12,
    [imageCommand, bareCommand, imageCommand],
    signal,
  );
  return { bare, warm, packed, cold };
};

const signed = (ms: number): string => (ms < -0.5 ? ms : Math.abs(ms)).toFixed(0).replace(/^(?!-)/, '+');

export const printTimings = ({ bare, warm, packed, cold }: Timings): void => {
  const base = median(bare);
  const row = (name: string, values: readonly number[]) => {
    const ms = median(values);
    const cells = [
      `${ms.toFixed(0)} ms`,
      `${signed(ms - base)} ms`,
      `${(ms / base).toFixed(2)} x`,
      `${values.length} runs`,
    ];
    console.log(`  ${name.padEnd(44)}${cells.map((cell) => cell.padStart(11)).join('')}`);
  };
  row('bare srun', bare);
  row('srun --image, image unpacked on the node', warm);
  row('srun --image, layers on the node', packed);
  row('srun --image, nothing on the node', cold);
};
