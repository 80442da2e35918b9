import { writeFileSync } from 'node:fs';
import { progress } from '../demo/progress.js';
import { runTimed } from './command.js';
import { contenders, hasRun, type Place } from './contenders.js';
import { benchImages, type BenchImage } from './image/bench-image.js';
import { availableMemory, describeMachine } from './machine.js';
import { preparePlace } from './place.js';
import { printedTable, rowOf, type Measured } from './report.js';
import { withUnpacker, type Usage } from './stowage-unpack.js';
import { readSystemCalls, withSystemCalls, type SystemCalls } from './system-calls.js';
import { checkComplete, freshDirectory } from './tree.js';
import { measureZeros, zerosNeedBytes } from './zeros.js';

export interface UnpackOptions {
  /** How often each is run, apart from those that take long. */
  readonly rounds: number;
  /** Part of the names of the images to measure. */
  readonly only: string;
  /** Where to write the rows as JSON. */
  readonly json: string | undefined;
  /** Directories that the caller removes. */
  readonly scratch: string;
  readonly making: string;
}

const cache = 'build/bench';

interface Samples {
  readonly seconds: Map<string, number[]>;
  readonly usage: Usage[];
}

/** One run of each contender that has one in this round, on every image; every other round backwards. */
const runRound = async (
  round: number,
  rounds: number,
  place: Place,
  samples: ReadonlyMap<BenchImage, Samples>,
  signal: AbortSignal,
): Promise<void> => {
  const due = [...samples].flatMap(([image, into]) =>
    contenders
      .filter(({ takes, runs }) => takes(image) && hasRun(runs, round, rounds))
      .map((contender) => ({ image, into, contender })),
  );
  for (const { image, into, contender } of round % 2 === 0 ? due : due.reverse()) {
    const name = `${image.name}: ${contender.title}`;
    const { seconds, usage } = await contender.run(image, place, signal);
    const root = contender.root?.(place);
    if (root !== undefined) checkComplete(root, place.images, name);
    console.log(`  ${name} ${seconds.toFixed(2)} s`);
    into.seconds.set(contender.key, [...(into.seconds.get(contender.key) ?? []), seconds]);
    if (usage !== undefined) into.usage.push(usage);
  }
};

const countCalls = async (
  image: BenchImage,
  place: Place,
  output: string,
  signal: AbortSignal,
): Promise<SystemCalls> => {
  const tree = freshDirectory(place.tree);
  await withUnpacker(place.unpacker, image.layers, place.layout, tree, (command) =>
    runTimed(withSystemCalls(command, output), signal),
  );
  checkComplete(tree, place.images, `stowage under strace, of ${image.name},`);
  return readSystemCalls(output);
};

const measure = async (
  place: Place,
  { rounds, scratch }: UnpackOptions,
  signal: AbortSignal,
): Promise<Measured[]> => {
  const samples = new Map(
    place.images.images.map((image): [BenchImage, Samples] => [image, { seconds: new Map(), usage: [] }]),
  );
  for (let round = 0; round < rounds; round++) {
    console.log(`Round ${round + 1} of ${rounds}`);
    await runRound(round, rounds, place, samples, signal);
  }
  const measured: Measured[] = [];
  for (const [image, { seconds, usage }] of samples) {
    const calls = await progress(`Counting system calls, ${image.name}`, () =>
      countCalls(image, place, `${scratch}/calls`, signal),
    );
    measured.push({ name: image.name, content: place.images, seconds, usage, calls });
  }
  return measured;
};

const explain = (rounds: number): string[] => {
  const fewer = contenders
    .filter(({ runs }) => runs < rounds)
    .map(({ title, runs }) => `${title} ${runs === 1 ? 'once' : `${runs} times`}`);
  return [
    `Seconds are the median of ${rounds} interleaved runs${fewer.length > 0 ? `; ${fewer.join(', ')}` : ''}.`,
    'In brackets: the time of stowage divided by that one. cpu: what stowage takes of all processors together.',
    'floor: igzip -dc or zstd -dc to /dev/null. tar x: of the layers uncompressed. Trees are made on a tmpfs by an',
    'ordinary user and counted after each run; all that is read is in the page cache already. with download: from a',
    'registry on this host, written to the disk, verified and unpacked by `stowage unpack`.',
  ];
};

/** Measures how fast images unpack, and prints and writes the result. */
export const benchUnpack = async (options: UnpackOptions, signal: AbortSignal): Promise<void> => {
  console.log(`Machine: ${describeMachine()}`);
  const text = `Images of 1.4 GB in ${cache} (made once, some minutes and 2 GB of disk)`;
  const made = await progress(text, () => benchImages(cache, options.making, signal));
  const images = { ...made, images: made.images.filter(({ name }) => name.includes(options.only)) };
  if (images.images.length === 0)
    throw new Error(
      `no image is named "${options.only}"; there are ${made.images.map(({ name }) => name).join('; ')}`,
    );
  const place = await progress('Uncompressed layers in memory, and a registry', () =>
    preparePlace(options.scratch, images, signal),
  );
  const measured = await measure(place, options, signal);
  const available = availableMemory();
  if (available >= zerosNeedBytes)
    measured.push(await progress('10 GiB of zeros in 10 MB', () => measureZeros(place, signal)));
  else
    console.log(
      `10 GiB of zeros: left out, as that needs ${(zerosNeedBytes / 1e9).toFixed(0)} GB of memory and only ` +
        `${(available / 1e9).toFixed(0)} GB are free.`,
    );
  const rows = measured.map(rowOf);
  console.log(['', ...printedTable(rows), '', ...explain(options.rounds)].join('\n'));
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(rows, null, 2)}\n`);
};
