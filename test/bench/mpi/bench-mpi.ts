import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import assert from 'node:assert/strict';

import { startCluster, type Cluster } from '../../cluster/cluster.js';
import { progress } from '../../demo/progress.js';
import { debianImage } from '../../support/debian-image.js';
import { pushImage, run } from '../../support/oci-image.js';
import { describeMachine } from '../machine.js';
import { inImage, mpiCases, onHost, type MpiCase } from './cases.js';
import { mpiRow, mpiTable, type Pair } from './mpi-report.js';
import { parsePingPong, type PingPong } from './pingpong.js';

export interface MpiOptions {
  readonly rounds: number;
  /** Part of the names of the cases to measure. */
  readonly only: string;
  /** Where to write the rows as JSON. */
  readonly json: string | undefined;
  /** A directory that the caller removes. */
  readonly scratch: string;
}

const user = 'stow-a';
const runMs = 300_000;

interface Place {
  readonly cluster: Cluster;
  readonly reference: string;
  /** The tree of the image, where everybody can read it. */
  readonly root: string;
  /** One job for all, so that the image is unpacked once. */
  readonly job: string;
}

const succeed = async (cluster: Cluster, argv: readonly string[], signal: AbortSignal): Promise<string> => {
  const { code, stdout, stderr } = await cluster.run(user, argv, { signal, timeoutMs: runMs });
  signal.throwIfAborted();
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with status ${code}:\n${stdout}${stderr}`);
  return stdout + stderr;
};

const preparePlace = async (cluster: Cluster, signal: AbortSignal): Promise<Place> => {
  const image = await debianImage(signal);
  const reference = await pushImage(image, cluster.registryHost, undefined, signal);
  const root = `${cluster.layout.data}/image`;
  mkdirSync(root);
  await run('umoci', ['raw', 'unpack', '--image', `${image.directory}:image`, root], signal);
  chmodSync(root, 0o755);
  const granted = await succeed(cluster, ['salloc', '--no-shell', '--nodes=2', '--exclusive'], signal);
  const job = /Granted job allocation (\d+)/.exec(granted)?.[1];
  if (job === undefined) throw new Error(`salloc said no job: ${granted}`);
  return { cluster, reference, root, job };
};

/** Throws unless both ran the same files, one in a container of one user namespace and the other on the host. */
const checkPair = ({ host, image }: Pair, root: string): void => {
  const only = (run: PingPong, key: keyof PingPong['ranks'][number]) => {
    const values = new Set(run.ranks.map((rank) => rank[key]));
    return [...values].join(' and ');
  };
  assert.equal(only(host, 'library'), only(image, 'library'), 'the MPI of the host and of the image');
  const inRoot = only(host, 'path')
    .slice(root.length)
    .replace(/^\/usr/, '');
  assert.equal(inRoot, only(image, 'path'), 'the file of the library');
  assert.equal(only(host, 'image'), 'none');
  assert.match(only(image, 'image'), /^sha256:[0-9a-f]{64}$/);
  const spaces = [host, image].map((run) => only(run, 'user_namespace'));
  assert.notEqual(spaces[0], spaces[1], 'the ranks in the image have a user namespace of their own');
};

const measurePair = async (
  wanted: MpiCase,
  { cluster, reference, root, job }: Place,
  imageFirst: boolean,
  signal: AbortSignal,
): Promise<Pair> => {
  const pingPong = async (argv: readonly string[]) => parsePingPong(await succeed(cluster, argv, signal));
  const measured: { host?: PingPong; image?: PingPong } = {};
  for (const who of imageFirst ? (['image', 'host'] as const) : (['host', 'image'] as const))
    measured[who] = await pingPong(
      who === 'image' ? inImage(wanted, job, reference) : onHost(wanted, job, root),
    );
  const { host, image } = measured;
  assert(host && image);
  checkPair({ host, image }, root);
  return { host, image };
};

const explain = (rounds: number): string[] => [
  `In the image, and in brackets on the host: the same files, the best of ${rounds} interleaved runs, of those alone during which a`,
  'word took as long from one processor to the other, without MPI. ratio: image to host, of all sizes from 8 B to 4 MiB (geometric',
  'mean). copies: process_vm_readv(2) in one run, by both ranks.',
];

/** Measures messages between two ranks in an image and on the host, and prints and writes the result. */
export const benchMpi = async (
  { rounds, only, json, scratch }: MpiOptions,
  signal: AbortSignal,
): Promise<void> => {
  const cases = mpiCases.filter(({ name }) => name.includes(only));
  if (cases.length === 0)
    throw new Error(`no case is named "${only}"; there are ${mpiCases.map(({ name }) => name).join('; ')}`);
  console.log(`Machine: ${describeMachine()}`);
  const cluster = await progress('Starting a Slurm cluster of two nodes', () =>
    startCluster({ nodes: 2, ownNetworks: true, stateDirectory: `${scratch}/cluster`, signal }),
  );
  try {
    const place = await progress('An image of Debian 13 with its own MPI (minutes, only once)', () =>
      preparePlace(cluster, signal),
    );
    const pairs = new Map(cases.map((wanted): [MpiCase, Pair[]] => [wanted, []]));
    for (let round = 0; round < rounds; round++)
      for (const [wanted, into] of pairs)
        into.push(
          await progress(`Round ${round + 1} of ${rounds}: ${wanted.name}`, () =>
            measurePair(wanted, place, round % 2 === 1, signal),
          ),
        );
    const rows = [...pairs].map(([{ name }, taken]) => mpiRow(name, taken));
    console.log(['', ...mpiTable(rows), '', ...explain(rounds)].join('\n'));
    if (json !== undefined) writeFileSync(json, `${JSON.stringify(rows, null, 2)}\n`);
  } finally {
    await cluster.stop();
  }
};
