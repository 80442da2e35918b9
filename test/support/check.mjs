// The one gate: npm run check. Runs every step, also when an earlier one failed, and prints a line for each.
// Plain Node, as npm's packages may not be there before the first step.
import { spawn } from 'node:child_process';
import { sources } from './check/sources.mjs';

const bin = (name) => `node_modules/.bin/${name}`;
const script = (name) => ['node', `test/support/check/${name}.mjs`];
const prose = ['*.md', '*.c', '*.h', '*.cc', '*.hh', '*.ts', '*.mjs', '*.proto', 'slurm-conf-examples/*'];

const steps = {
  setup: ['npm', 'run', '--silent', 'setup'],
  'format of TypeScript, JSON, Markdown and YAML': [bin('prettier'), '--log-level=warn', '--check', '.'],
  'format of C and C++': () => [
    'clang-format',
    '--dry-run',
    '-Werror',
    ...sources('*.c', '*.h', '*.cc', '*.hh'),
  ],
  types: [bin('tsc'), '--noEmit', '--tsBuildInfoFile', 'build/js/check.tsbuildinfo'],
  lint: ['npm', 'run', '--silent', 'lint'],
  'import cycles': script('import-cycles'),
  proto: [bin('buf'), 'lint', 'proto'],
  'warnings of C and C++': ['npm', 'run', '--silent', 'build:native'],
  spelling: () => [
    bin('cspell'),
    '--config',
    '.config/cspell.json',
    '--no-progress',
    '--no-summary',
    ...sources(...prose),
  ],
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
for (const [name, command] of Object.entries(steps)) {
  const started = performance.now();
  // Setting up may take minutes, and says what it does.
  const { ok, printed } = await run(command, name === 'setup').catch(({ message }) => ({ printed: message }));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${ok ? 'ok    ' : 'failed'} ${name} (${seconds} s)`);
  if (ok) continue;
  failed.push(name);
  if (printed !== '') console.log(printed.replaceAll(/^/gm, '       '));
}
console.log(failed.length === 0 ? 'check: all is well' : `check: failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
