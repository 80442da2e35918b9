// The one gate: npm run check. Runs every step, also when another one failed, and prints a line for each.
// Plain Node, as npm's packages may not be there before the first step.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { sources } from './check/sources.mjs';

const bin = (name) => `node_modules/.bin/${name}`;
const script = (name) => ['node', `test/support/check/${name}.mjs`];
const prose = ['*.md', '*.c', '*.h', '*.cc', '*.hh', '*.ts', '*.mjs', '*.proto', 'slurm-conf-examples/*'];

const steps = {
  setup: ['npm', 'run', '--silent', 'setup'],
  // Those that take longest come first.
  spelling: () => [
    bin('cspell'),
    '--config',
    '.config/cspell.json',
    '--no-progress',
    '--no-summary',
    ...sources(...prose),
  ],
  lint: ['npm', 'run', '--silent', 'lint'],
  'format of TypeScript, JSON, Markdown and YAML': [bin('prettier'), '--log-level=warn', '--check', '.'],
  'format of C and C++': () => [
    'clang-format',
    '--dry-run',
    '-Werror',
    ...sources('*.c', '*.h', '*.cc', '*.hh'),
  ],
  types: [bin('tsc'), '--noEmit', '--tsBuildInfoFile', 'build/js/check.tsbuildinfo'],
  'import cycles': script('import-cycles'),
  proto: [bin('buf'), 'lint', 'proto'],
  'warnings of C and C++': ['npm', 'run', '--silent', 'build:native'],
  links: script('links'),
  dependencies: script('dependencies'),
  'committed text': script('committed-text'),
};

/** Runs a command and resolves to what it printed, unless that was `shown` already. Rejects if it cannot run. */
const run = (command, shown) =>
  new Promise((resolve, reject) => {
    const [program, ...args] = typeof command === 'function' ? command() : command;
    const output = shown ? 'inherit' : 'pipe';
    const child = spawn(program, args, { stdio: ['ignore', output, output] });
    const chunks = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => chunks.push(chunk));
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({ ok: code === 0, printed: Buffer.concat(chunks).toString().trim() }),
    );
  });

const failed = [];

const check = async ([name, command]) => {
  const started = performance.now();
  // Setting up may take minutes, and says what it does.
  const { ok, printed } = await run(command, name === 'setup').catch(({ message }) => ({ printed: message }));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${ok ? 'ok    ' : 'failed'} ${name} (${seconds} s)`);
  if (ok) return;
  failed.push(name);
  if (printed !== '') console.log(printed.replaceAll(/^/gm, '       '));
};

const [setup, ...others] = Object.entries(steps);
await check(setup);
// As many at once as there are processors.
const queue = others.values();
const worker = async () => {
  for (const step of queue) await check(step);
};
await Promise.all(Array.from({ length: availableParallelism() }, worker));
console.log(failed.length === 0 ? 'check: all is well' : `check: failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
