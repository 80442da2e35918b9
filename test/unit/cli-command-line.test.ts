import assert from 'node:assert/strict';

import { runCommandLine } from '../../wrapper/cli/command-line.js';
import { Interruption } from '../../wrapper/cli/interruption.js';
import { release } from '../../wrapper/package-root.js';

interface Said {
  status: number;
  stdout: string;
  stderr: string;
}

async function run(args: readonly string[], signal = new AbortController().signal): Promise<Said> {
  const said = { stdout: '', stderr: '' };
  const status = await runCommandLine(args, {
    env: {},
    cwd: '/',
    home: '/nonexistent',
    uid: 65432,
    stdout: { write: (text) => (said.stdout += text) },
    stderr: { write: (text) => (said.stderr += text) },
    signal,
  });
  return { status, ...said };
}

describe('command line of stowage', () => {
  it('says which release it is', async () => {
    assert.deepEqual(await run(['--version']), { status: 0, stdout: `stowage ${release}\n`, stderr: '' });
  });

  for (const args of [
    ['--help'],
    ['unpack', '--help'],
    ['inspect', 'x', '--help'],
    ['pull', '--help'],
    ['images', '--help'],
    ['environments', '--help'],
    ['prune', '--help'],
    ['status', '--help'],
    ['unpack', '--nosuch', '--help'],
  ]) {
    it(`explains itself: ${args.join(' ')}`, async () => {
      const { status, stdout, stderr } = await run(args);
      assert.match(
        stdout,
        args[0] === '--help' ? /^usage: stowage COMMAND/ : new RegExp(`^usage: stowage ${args[0]} `),
      );
      assert.deepEqual([status, stderr], [0, '']);
    });
  }

  for (const [args, sentence] of [
    [[], 'say what to do: unpack, inspect, pull, images, environments, prune, status, --help, --version'],
    [['inpect'], 'there is no command "inpect"; did you mean "inspect"?'],
    [['--hlep'], 'there is no option "--hlep"; did you mean "--help"?'],
    [
      ['frobnicate'],
      'there is no command "frobnicate"; known are unpack, inspect, pull, images, environments, prune, status, --help, --version',
    ],
    [['unpack', 'busybox'], 'unpack wants a SOURCE and a DIR; "stowage unpack --help" says more'],
    [['unpack', 'a', 'b', 'c'], 'unpack wants a SOURCE and a DIR; "stowage unpack --help" says more'],
    [['unpack', 'a', ''], 'unpack wants a SOURCE and a DIR; "stowage unpack --help" says more'],
    [['unpack', '--', '--help'], 'unpack wants a SOURCE and a DIR; "stowage unpack --help" says more'],
    [['inspect'], 'inspect wants one SOURCE; "stowage inspect --help" says more'],
    [['inspect', '--josn', 'x'], 'there is no option "--josn"; did you mean --json?'],
    [['pull'], 'pull wants the name of an image; "stowage pull --help" says more'],
    [['pull', '--pull=newest', 'x'], '--pull wants one of missing, always, never, not "newest"'],
    [['images', 'x'], 'images wants no arguments; "stowage images --help" says more'],
    [['images', '--all-user'], 'there is no option "--all-user"; did you mean --all-users?'],
    [['environments', 'x'], 'environments wants no arguments; "stowage environments --help" says more'],
    [['status', 'x'], 'status wants no arguments; "stowage status --help" says more'],
    [['status', '--config', 'a', '--socket', 'b'], '--config and --socket exclude each other'],
    [['prune', '--dry_run'], 'there is no option "--dry_run"; did you mean --dry-run?'],
    [
      ['prune', '--unused-for=30'],
      '--unused-for wants a number with s, m, h, d or w behind it, such as 30d for 30 days, not "30"',
    ],
    [
      ['prune', '--unused-for=-1d'],
      '--unused-for wants a number with s, m, h, d or w behind it, such as 30d for 30 days, not "-1d"',
    ],
  ] as const) {
    it(`refuses with status 2: ${JSON.stringify(args)}`, async () => {
      assert.deepEqual(await run(args), { status: 2, stdout: '', stderr: `stowage: ${sentence}\n` });
    });
  }

  it('answers a name that cannot be an image with status 1', async () => {
    const { status, stderr } = await run(['inspect', 'Ubuntu']);
    assert.match(stderr, /^stowage: image "Ubuntu" is not valid: repository names are lower case\n$/);
    assert.equal(status, 1);
  });

  it('refuses a configuration that is not right, and one that is named but not there', async () => {
    assert.match(
      (await run(['inspect', '--config', '/nonexistent', 'x'])).stderr,
      /^stowage: configuration \/nonexistent cannot be read/,
    );
  });

  it('ends as the shell expects when a signal came', async () => {
    const signal = AbortSignal.abort(new Interruption('SIGTERM'));
    assert.deepEqual(await run(['inspect', '/etc/passwd'], signal), { status: 143, stdout: '', stderr: '' });
  });
});
