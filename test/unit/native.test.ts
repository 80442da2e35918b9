/** Each line of the C programs in spank-plugin/test as a test of its own. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const repository = new URL('../../../../', import.meta.url);

interface Claim {
  readonly holds: boolean;
  readonly name: string;
  readonly skipped: boolean;
  readonly remarks: string[];
}

interface Run {
  readonly claims: Claim[];
  readonly planned: number;
  readonly status: number | null;
  readonly stderr: string;
}

const claimLine = /^(not )?ok \d+ - (.*?)(?: # SKIP (.*))?$/;

const run = (program: string): Run => {
  const path = new URL(`build/test/${program}`, repository).pathname;
  const { stdout, stderr, status } = spawnSync(path, { encoding: 'utf8', timeout: 120_000 });
  const claims: Claim[] = [];
  let planned = 0;
  for (const line of stdout.split('\n')) {
    const [, not, name, why] = claimLine.exec(line) ?? [];
    if (name !== undefined)
      claims.push({ holds: not === undefined, name, skipped: why !== undefined, remarks: [] });
    else if (line.startsWith('#')) claims.at(-1)?.remarks.push(line);
    else if (line.startsWith('1..')) planned = Number(line.slice(3));
  }
  return { claims, planned, status, stderr };
};

// Mocha wants to know all tests before it runs the first, so the programs run while this file is loaded.
execFileSync('make', ['--no-print-directory', '-s', '-C', 'spank-plugin', 'tests'], { cwd: repository });

describe('the C of the plugin and its helper', () => {
  const programs = readdirSync(new URL('spank-plugin/test', repository))
    .filter((name) => name.endsWith('.c'))
    .map((name) => name.slice(0, -2));
  for (const program of programs) {
    describe(program, () => {
      const { claims, planned, status, stderr } = run(program);
      for (const { holds, name, skipped, remarks } of claims) {
        it(name, function () {
          if (skipped) this.skip();
          assert.ok(holds, [name, ...remarks].join('\n'));
        });
      }
      it('ends with its plan, and without a complaint of the sanitizers', () => {
        assert.equal(stderr, '');
        assert.equal(claims.length, planned);
        const failed = claims.some(({ holds }) => !holds);
        assert.equal(status, failed ? 1 : 0);
      });
    });
  }
});
