// npm test: the tests on a Slurm, which spend half of their time waiting, run beside all others. Arguments go to mocha.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';

/** What is printed comes in this order, whichever tests end first. */
const groups = ['{unit,unpack,cli,service}', 'slurm'];
/** Of all but the last, which has daemons that wait for each other: it has what it needs of the processors. */
const niceness = 10;

const summaryLine = /^ {2}(\d+) (passing|pending|failing)(?: \(.*\))?$/;

const args = (group) => [
  'node_modules/mocha/bin/mocha.js',
  ...(process.stdout.isTTY ? ['--color'] : []),
  `build/js/test/${group}/**/*.test.js`,
  ...process.argv.slice(2),
];

/** Runs mocha, and resolves when it has ended. `show` lets what it prints be seen from then on, and what it has printed. */
const start = (group) => {
  const child = spawn(process.execPath, args(group), { stdio: ['ignore', 'pipe', 'inherit'] });
  if (group !== groups.at(-1)) setPriority(child.pid, niceness);
  const counts = {};
  let hidden = [];
  const print = (line) => (hidden ? hidden.push(line) : console.log(line));
  const lines = createInterface({ input: child.stdout }).on('line', (line) => {
    const [, count, word] = summaryLine.exec(stripVTControlCharacters(line)) ?? [];
    if (word) counts[word] = Number(count);
    print(line);
  });
  const ended = Promise.all([once(child, 'exit'), once(lines, 'close')]).then(([[code, signal]]) => ({
    counts,
    isGood: code === 0,
    isCut: counts.passing === undefined,
    how: signal ?? `status ${code}`,
  }));
  const show = () => {
    for (const line of hidden) console.log(line);
    hidden = undefined;
  };
  return { group, child, ended, show };
};

const started = performance.now();
const runs = groups.map(start);
// Ctrl-C reaches mocha by itself; what it prints last is still wanted.
process.on('SIGINT', () => undefined);
for (const name of ['SIGTERM', 'SIGHUP'])
  process.on(name, () => {
    for (const { child } of runs) child.kill(name);
  });

const totals = { passing: 0, pending: 0, failing: 0 };
for (const { group, ended, show } of runs) {
  show();
  const { counts, isGood, isCut, how } = await ended;
  for (const word of Object.keys(totals)) totals[word] += counts[word] ?? 0;
  if (isCut) console.log(`the tests of ${group} ended before their end, with ${how}`);
  if (!isGood) process.exitCode = 1;
}
const minutes = ((performance.now() - started) / 60_000).toFixed(0);
console.log(`\n  ${totals.passing} passing (${minutes}m)`);
for (const word of ['pending', 'failing']) if (totals[word] > 0) console.log(`  ${totals[word]} ${word}`);
