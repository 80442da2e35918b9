import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { Cluster } from '../cluster/cluster.js';
import { account } from '../cluster/users.js';
import { waitFor } from '../cluster/wait.js';

const example = 'slurm-conf-examples/sbatch-hello-mpi.sh';

/** What test/support/debian-mpi/hello.c prints. */
export interface Rank {
  readonly rank: number;
  readonly size: number;
  readonly sum: number;
  readonly node: string;
  readonly image: string;
  readonly kernel: string;
  readonly uid: number;
}

const line = /^rank=(\d+) size=(\d+) sum=(\d+) node=(\S+) image="([^"]*)" kernel=(\S+) uid=(\d+)$/;

const parseRanks = (output: string): Rank[] =>
  output
    .split('\n')
    .map((text) => line.exec(text))
    .filter((match) => match !== null)
    .map(([, rank, size, sum, node = '', image = '', kernel = '', uid]) => ({
      ...{ rank: Number(rank), size: Number(size), sum: Number(sum) },
      ...{ node, image, kernel, uid: Number(uid) },
    }))
    .sort((a, b) => a.rank - b.rank);

const hostRelease = (): string =>
  /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown';

/** Throws a sentence unless these are the four ranks of the example: its image, two nodes, that user. */
const checkRanks = (ranks: readonly Rank[], user: string): void => {
  const expect = (truth: boolean, what: string) => {
    if (!truth) throw new Error(`the job did not run as it should: ${what}`);
  };
  expect(ranks.map(({ rank }) => rank).join() === '0,1,2,3', `ranks 0 to 3 should have reported`);
  expect(new Set(ranks.map(({ node }) => node)).size === 2, 'the ranks should be on two nodes');
  for (const { rank, size, sum, image, kernel, uid } of ranks) {
    const who = `rank ${rank}`;
    expect(size === 4 && sum === 6, `${who} counted ${size} ranks and the sum ${sum}, not 4 and 6`);
    expect(image.startsWith('Debian GNU/Linux 13'), `${who} saw ${image}, not the image's Debian 13`);
    expect(kernel === release(), `${who} saw the kernel ${kernel}, not the host's`);
    expect(uid === account(user).uid, `${who} had the uid ${uid}, not that of ${user}`);
  }
};

/** Resolves when the job has ended, with Slurm's word for how: "COMPLETED", "FAILED". */
const endOf = (cluster: Cluster, user: string, job: string, signal: AbortSignal): Promise<string> =>
  // sbatch --wait would do, but looks only every ten seconds.
  waitFor(
    async () => {
      const { stdout } = await cluster.run(user, ['scontrol', 'show', 'job', '--oneliner', job], { signal });
      const state = /JobState=(\w+)/.exec(stdout)?.[1];
      return state !== undefined && !['PENDING', 'RUNNING', 'COMPLETING'].includes(state) && state;
    },
    { failure: `job ${job} did not end`, timeoutMs: 120_000, intervalMs: 200, signal },
  );

/** Submits the example with the image's reference in its #SBATCH line and checks what the ranks say. */
export const runExample = async (
  cluster: Cluster,
  user: string,
  image: string,
  signal: AbortSignal,
): Promise<Rank[]> => {
  const script = readFileSync(example, 'utf8').replace(/^(#SBATCH --image=).*$/m, `$1${image}`);
  const output = `${account(user).home}/stowage-demo-${process.pid}.out`;
  try {
    const submitted = await cluster.run(user, ['sbatch', '--parsable', `--output=${output}`], {
      stdin: script,
      signal,
    });
    signal.throwIfAborted();
    if (submitted.code !== 0) throw new Error(`the job was not accepted:\n${submitted.stderr}`);
    const state = await endOf(cluster, user, submitted.stdout.trim(), signal);
    const { stdout } = await cluster.run(user, ['cat', output]);
    if (state !== 'COMPLETED') throw new Error(`the job ended as ${state}:\n${stdout}`);
    const ranks = parseRanks(stdout);
    checkRanks(ranks, user);
    return ranks;
  } finally {
    await cluster.run(user, ['rm', '-f', output]);
  }
};

export const printRanks = (ranks: readonly Rank[]): void => {
  const row = (...cells: readonly (string | number)[]) =>
    console.log(
      `  ${cells.map((cell, i) => String(cell).padEnd([6, 6, 32, 24, 6][i] ?? 0)).join('')}`.trimEnd(),
    );
  row('rank', 'node', 'os-release', 'kernel', 'uid');
  for (const { rank, node, image, kernel, uid } of ranks) row(rank, node, image, kernel, uid);
  row('', 'host', hostRelease(), release(), '');
};
