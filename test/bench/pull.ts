import { chmodSync, writeFileSync } from 'node:fs';

import { progress } from '../demo/progress.js';
import { runTimed } from './command.js';
import { describeMachine } from './machine.js';
import { PullDaemon } from './pull-daemon.js';
import { type PullImage, pushImage, type Wish } from './pull-images.js';
import { type MeasuredPull, pullRow, pullTable } from './pull-report.js';
import { installed, startRegistry } from './registry.js';
import { freshDirectory } from './tree.js';

export interface PullOptions {
  readonly rounds: number;
  /** Part of the names of the images to measure. */
  readonly only: string;
  /** Where to write the rows as JSON. */
  readonly json: string | undefined;
  /** A directory that the caller removes, on the file system that is written to. */
  readonly scratch: string;
}

/** Layers at once, stowage by default as much as `curl --parallel` here. */
const parallel = 4;

const wishes: readonly Wish[] = [
  { name: '1 layer of 1 GB', layers: 1, layerBytes: 1_000_000_000 },
  { name: '1 layer of 256 MB', layers: 1, layerBytes: 256_000_000 },
  { name: '12 layers of 64 MB', layers: 12, layerBytes: 64_000_000 },
  // The most that an image may have.
  { name: '127 layers of 1 MB', layers: 127, layerBytes: 1_000_000 },
];

/** What a daemon pulls before it is measured, so that it has run for a while, as a node's has. */
const warmUp: Wish = { name: 'warm-up', layers: 8, layerBytes: 4_000_000 };

interface Place {
  readonly scratch: string;
  readonly prefix: string;
  readonly host: string;
  readonly warmUp: PullImage;
}

interface Samples {
  readonly stowage: number[];
  readonly curl: number[];
  readonly curlParallel: number[];
  readonly peakBytes: number[];
  readonly idleBytes: number[];
}

const pullByCurl = async (
  { scratch }: Place,
  { urls }: PullImage,
  options: readonly string[],
  signal: AbortSignal,
): Promise<number> => {
  const directory = freshDirectory(`${scratch}/curl`);
  const outputs = urls.flatMap((url, index) => ['--output', `${directory}/${index}`, url]);
  const argv = ['curl', '--disable', '--silent', '--show-error', '--fail', ...options, ...outputs] as const;
  const { seconds } = await runTimed({ argv: [...argv] as [string, ...string[]] }, signal);
  freshDirectory(directory);
  return seconds;
};

const pullByStowage = async (
  { scratch, prefix, host, warmUp: before }: Place,
  image: PullImage,
  into: Samples,
  signal: AbortSignal,
): Promise<number> => {
  const directory = `${scratch}/stowaged`;
  const daemon = await PullDaemon.start(prefix, directory, host, signal);
  try {
    await daemon.pull(before.reference, signal);
    const seconds = await daemon.pull(image.reference, signal);
    into.stowage.push(seconds);
    into.peakBytes.push(daemon.peakBytes());
    into.idleBytes.push(await daemon.idleBytes(signal));
    return seconds;
  } finally {
    await daemon.stop();
    freshDirectory(directory);
  }
};

const measureOnce = async (
  place: Place,
  image: PullImage,
  into: Samples,
  isBackwards: boolean,
  signal: AbortSignal,
): Promise<void> => {
  const several = ['--parallel', '--parallel-max', String(parallel)];
  const byCurl = async (options: readonly string[], seconds: number[]) => {
    const taken = await pullByCurl(place, image, options, signal);
    seconds.push(taken);
    return taken;
  };
  const contenders = [
    { title: 'stowage', run: () => pullByStowage(place, image, into, signal) },
    { title: 'curl', run: () => byCurl([], into.curl) },
    ...(image.urls.length > 1
      ? [{ title: 'curl --parallel', run: () => byCurl(several, into.curlParallel) }]
      : []),
  ];
  for (const { title, run } of isBackwards ? contenders.reverse() : contenders) {
    // What was written before must not be written to the disk meanwhile.
    await runTimed({ argv: ['sync'], asRoot: true }, signal);
    console.log(`  ${image.name}: ${title} ${(await run()).toFixed(2)} s`);
  }
};

/** Measures how fast images come from a registry into the store, and prints and writes the result. */
export const benchPull = async (options: PullOptions, signal: AbortSignal): Promise<void> => {
  const { rounds, only, json, scratch } = options;
  const wanted = wishes.filter(({ name }) => name.includes(only));
  if (wanted.length === 0)
    throw new Error(`no image is named "${only}"; there are ${wishes.map(({ name }) => name).join('; ')}`);
  console.log(`Machine: ${describeMachine()}`);
  chmodSync(scratch, 0o755);
  const prefix = await installed(scratch, signal);
  const host = await startRegistry(scratch, signal);
  const [images, place] = await progress('Images of noise in a registry on this host', async () => {
    const pushed: PullImage[] = [];
    for (const wish of wanted) pushed.push(await pushImage(host, wish, signal));
    return [pushed, { scratch, prefix, host, warmUp: await pushImage(host, warmUp, signal) }] as const;
  });
  const samples = new Map(
    images.map((image): [PullImage, Samples] => [
      image,
      { stowage: [], curl: [], curlParallel: [], peakBytes: [], idleBytes: [] },
    ]),
  );
  for (let round = 0; round < rounds; round++) {
    console.log(`Round ${round + 1} of ${rounds}`);
    for (const [image, into] of samples) await measureOnce(place, image, into, round % 2 === 1, signal);
  }
  const rows = [...samples]
    .map(([{ name, bytes }, taken]): MeasuredPull => ({ name, bytes, ...taken }))
    .map(pullRow);
  console.log(['', ...pullTable(rows), '', ...explain(rounds)].join('\n'));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(rows, null, 2)}\n`);
};

const explain = (rounds: number): string[] => [
  `Rates are the median of ${rounds} interleaved runs, from docker-registry on this host to the same file system.`,
  `stowage: from the call to the plan; everything verified. curl: nothing verified; one process, one`,
  `layer after the other, or with --parallel ${parallel} at once, as stowage. ratio: stowage to the curl before it.`,
  'Memory is resident memory (VmHWM, VmRSS) of stowaged: the most until the pull ended, and 5 s after.',
];
