import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { runCommandLine } from '../../wrapper/cli/command-line.js';

describe('stowage environments', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'stowage-environments-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const own = (name: string): string => join(directory, '.config/stowage/environments', name);
  const site = (name: string): string => join(directory, 'site', name);
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  const run = async (...args: string[]) => {
    const said = { stdout: '', stderr: '' };
    const status = await runCommandLine(['environments', '--site', 'site', ...args], {
      env: { USER: 'a' },
      cwd: directory,
      home: directory,
      uid: 65432,
      stdout: { write: (text) => (said.stdout += text) },
      stderr: { write: (text) => (said.stderr += text) },
      signal: new AbortController().signal,
    });
    return { status, ...said };
  };
  const table = (text: string): string[][] =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/));

  it('lists what there is, with images and files, and the own before those of the site', async () => {
    write(site('base.toml'), 'image = "team/${USER}:1"');
    write(site('x.toml'), 'image = "of the site"');
    write(own('x.toml'), 'base = "base"');
    write(own('y.toml'), 'image = "./y.sqsh"');
    write(own('notes.txt'), '');
    const { status, stdout, stderr } = await run();
    assert.deepEqual(table(stdout), [
      ['NAME', 'IMAGE', 'FILE'],
      ['base', 'team/a:1', site('base.toml')],
      ['x', 'team/a:1', own('x.toml')],
      ['y', own('y.sqsh'), own('y.toml')],
    ]);
    assert.deepEqual([status, stderr], [0, '']);
  });

  it('lists what cannot be used, and says why', async () => {
    write(own('a.toml'), 'image = ');
    write(own('b.toml'), 'base = "nope"');
    execFileSync('mkfifo', [own('c.toml')]);
    const { status, stdout, stderr } = await run();
    assert.deepEqual(
      table(stdout).map(([name, image]) => [name, image]),
      [
        ['NAME', 'IMAGE'],
        ['a', '-'],
        ['b', '-'],
        ['c', '-'],
      ],
    );
    const [a = '', b = '', c = '', ...more] = stderr.trimEnd().split('\n');
    assert.match(a, /^stowage: \/.*\/a\.toml: line 1: /);
    assert.match(
      b,
      /^stowage: environment "nope", which \/.*\/b\.toml is built on, does not exist: it is neither in /,
    );
    assert.match(c, /\/c\.toml cannot be read \(it is not a regular file\)$/);
    assert.deepEqual([status, more], [0, []]);
  });

  it('says the same to programs', async () => {
    write(own('x.toml'), 'image = "app:1"');
    const { stdout } = await run('--json');
    assert.deepEqual(JSON.parse(stdout), {
      environments: [{ name: 'x', image: 'app:1', problem: null, file: own('x.toml') }],
    });
  });

  it('has nothing to list where there is nothing', async () =>
    assert.deepEqual(await run(), { status: 0, stdout: 'NAME  IMAGE  FILE\n', stderr: '' }));
});
