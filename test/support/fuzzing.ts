/** Runs the fuzz targets of wrapper/unpack/fuzz as an ordinary user, whoever asks for it. */
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const sources = resolve('wrapper/unpack/fuzz');
const built = resolve('build/fuzz');
/** A uid that needs no account. */
const ordinary = 65432;

/** The names of all fuzz targets. Each has a corpus in the repository. */
export const targets: readonly string[] = readdirSync(`${sources}/corpus`).sort();

export const buildTargets = (): void => {
  execFileSync('make', ['--no-print-directory', '-s', '-C', 'wrapper/unpack', 'fuzz'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
};

export interface FuzzOptions {
  /** How long to make inputs up, after the corpus; default 0. */
  readonly seconds?: number;
  /** Runs this input alone. */
  readonly input?: string;
  /** Adds to the corpus in the repository what earlier runs have found to reach further. */
  readonly merge?: boolean;
  /** Called with pieces of output as they come. */
  readonly onOutput?: (text: string) => void;
}

export interface FuzzOutcome {
  /** 0 if nothing was found. */
  readonly status: number | null;
  readonly output: string;
  /** Inputs that were found to do harm, kept below build/fuzz/findings. */
  readonly findings: readonly string[];
}

const copyAll = (from: string, to: string): void => {
  if (!existsSync(from)) return;
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) copyFileSync(join(from, name), join(to, name));
};

const isRoot = process.getuid?.() === 0;

/** A directory that the target may write to. */
const giveAway = (directory: string): string => {
  mkdirSync(directory, { recursive: true });
  if (isRoot) chownSync(directory, ordinary, ordinary);
  return directory;
};

const commandOf = (program: string, args: readonly string[]): [string, readonly string[]] =>
  isRoot
    ? ['setpriv', [`--reuid=${ordinary}`, `--regid=${ordinary}`, '--clear-groups', '--', program, ...args]]
    : [program, args];

const run = (
  cwd: string,
  program: string,
  args: readonly string[],
  onOutput: FuzzOptions['onOutput'],
): Promise<Omit<FuzzOutcome, 'findings'>> => {
  const [command, rest] = commandOf(program, args);
  const child = spawn(command, rest, {
    cwd,
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      onOutput?.(text);
    });
  return new Promise((done, reject) => {
    child.once('error', reject);
    child.once('close', (status) => done({ status, output }));
  });
};

/** Merging leaves out inputs that only take the same way more often, of which there are hundreds. */
const merging = ['-merge=1', '-use_counters=0'];
/**
 * An input takes too long after 5 s. The targets themselves bound the memory of the unpacker, without that of libFuzzer
 * and the sanitizers, which grows.
 */
const limits = ['-timeout=5', '-rss_limit_mb=2048', '-malloc_limit_mb=64'];

const argumentsFor = (target: string, { seconds = 0, input, merge = false }: FuzzOptions): string[] => {
  if (input !== undefined) return [...limits, 'input'];
  if (merge) return [...limits, ...merging, 'merged', 'corpus'];
  const dictionary = existsSync(`${sources}/${target}.dict`) ? ['-dict=dictionary'] : [];
  const length = seconds === 0 ? '-runs=0' : `-max_total_time=${seconds}`;
  return [...limits, ...dictionary, length, '-artifact_prefix=findings/', 'corpus'];
};

/** Runs a target that buildTargets() has built. Whatever it does is left behind nowhere but below build/fuzz. */
export const fuzz = async (target: string, options: FuzzOptions): Promise<FuzzOutcome> => {
  // Where an ordinary user may go, which the checkout may not be.
  const place = mkdtempSync(join(tmpdir(), 'stowage-fuzz-'));
  try {
    chmodSync(place, 0o755);
    copyFileSync(`${built}/${target}`, `${place}/target`);
    if (existsSync(`${sources}/${target}.dict`))
      copyFileSync(`${sources}/${target}.dict`, `${place}/dictionary`);
    if (options.input !== undefined) copyFileSync(options.input, `${place}/input`);
    for (const directory of ['corpus', 'findings', 'merged']) giveAway(`${place}/${directory}`);
    copyAll(`${sources}/corpus/${target}`, `${place}/corpus`);
    copyAll(`${built}/corpus/${target}`, `${place}/corpus`);
    copyAll(`${sources}/corpus/${target}`, `${place}/merged`);

    const outcome = await run(place, './target', argumentsFor(target, options), options.onOutput);
    copyAll(`${place}/findings`, `${built}/findings/${target}`);
    if (options.merge !== true) copyAll(`${place}/corpus`, `${built}/corpus/${target}`);
    else if (outcome.status === 0) copyAll(`${place}/merged`, `${sources}/corpus/${target}`);
    const findings = readdirSync(`${place}/findings`).map((name) => `build/fuzz/findings/${target}/${name}`);
    return { ...outcome, findings };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
};
