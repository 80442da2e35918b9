// npm run bench: what test/support/bench.mjs runs, in namespaces of its own.
import { parseArgs } from 'node:util';
import { benchMpi } from './mpi/bench-mpi.js';
import { benchPull } from './pull.js';
import { benchStart } from './start.js';
import { benchUnpack } from './unpack.js';

const usage = `usage: npm run bench -- mpi|pull|start|unpack [--json FILE] [--rounds N] [--only NAME]

  mpi     how fast two MPI ranks talk in an image, beside the same program on the host
  pull    how fast images come from a registry into the store, beside curl
  start   what an image that is on the node adds to srun
  unpack  how fast layers become a tree, beside tar, bsdtar, umoci and bare decompression

  --json FILE  writes the numbers as JSON as well
  --rounds N   runs each so often; default 5, of mpi 10, of pull 3, of start 30
  --only NAME  measures alone what has NAME in its name: --only 'gzip, 1 '`;

interface Options {
  readonly values: { json?: string; rounds?: string; only: string; help: boolean };
  readonly positionals: readonly string[];
}

const defaultRounds: Readonly<Record<string, number>> = { mpi: 10, pull: 3, start: 30, unpack: 5 };

const parse = (args: string[]): Options =>
  parseArgs({
    args,
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      rounds: { type: 'string' },
      only: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  });

const main = async (signal: AbortSignal): Promise<number> => {
  const [scratch = '', making = '', ...args] = process.argv.slice(2);
  const { values, positionals } = parse(args);
  const [what = ''] = positionals;
  const rounds = Number(values.rounds ?? defaultRounds[what]);
  if (values.help) {
    console.log(usage);
    return 0;
  }
  if (
    positionals.length !== 1 ||
    !(what in defaultRounds) ||
    !Number.isInteger(rounds) ||
    rounds < 1 ||
    rounds > 100
  ) {
    console.error(usage);
    return 2;
  }
  const options = { rounds, only: values.only, json: values.json, scratch };
  if (what === 'mpi') await benchMpi(options, signal);
  else if (what === 'pull') await benchPull(options, signal);
  else if (what === 'start') await benchStart(options, signal);
  else await benchUnpack({ ...options, making }, signal);
  return 0;
};

const stopped = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => stopped.abort(new Error(`stopped by ${name}`)));
try {
  process.exitCode = await main(stopped.signal);
} catch (error) {
  const reason = stopped.signal.aborted ? (stopped.signal.reason as unknown) : error;
  console.error(`bench: ${reason instanceof Error ? reason.message : String(reason)}`);
  process.exitCode = 1;
}
