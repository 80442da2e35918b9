import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { assertLinksKept, comparable, copyDirectory, makeSource } from './root-file.js';
import { binary, eachInSandbox, isRoot, isUnconfined, ordinaryUser, outcomeOf } from './sandbox.js';

describe('stowage-unpack: directories', () => {
  const sandbox = eachInSandbox();
  const remove = (source: string): void => {
    assert.equal(spawnSync('rm', ['-rf', source]).status, 0);
  };

  function source(): string {
    const made = path.join(sandbox().directory, 'source');
    fs.mkdirSync(made);
    return made;
  }

  it('copies files, links, modes and times', async () => {
    const made = makeSource(sandbox());
    fs.chmodSync(path.join(made, 'closed'), 0o755);
    fs.utimesSync(made, 1.2e9, 1.2e9);
    const expected = comparable(sandbox().list(made));
    const outcome = await copyDirectory(sandbox(), made);
    remove(made);
    assert.deepEqual({ status: outcome.status, stderr: outcome.stderr }, { status: 0, stderr: '' });
    assert.deepEqual(comparable(sandbox().list()), expected);
    assertLinksKept(sandbox());
    assert.equal(fs.statSync(sandbox().tree).mtimeMs, 1.2e12);
  });

  it('follows no symbolic link', async () => {
    const made = source();
    fs.symlinkSync(sandbox().canary, path.join(made, 'out'));
    fs.symlinkSync('../tree-canary/song', path.join(made, 'song'));
    await copyDirectory(sandbox(), made);
    remove(made);
    assert.deepEqual(sandbox().names(), ['out', 'song']);
    assert.equal(fs.readlinkSync(path.join(sandbox().tree, 'out')), sandbox().canary);
  });

  it('refuses to remember more files whose other names lie elsewhere than memory is meant for', async () => {
    const made = source();
    const elsewhere = path.join(sandbox().directory, 'elsewhere');
    const deep = path.join(made, ...Array<string>(12).fill('d'.repeat(200)));
    for (const directory of [elsewhere, deep]) fs.mkdirSync(directory, { recursive: true });
    for (let i = 0; i < 14_000; i++) {
      fs.writeFileSync(path.join(deep, String(i)), '');
      fs.linkSync(path.join(deep, String(i)), path.join(elsewhere, String(i)));
    }
    const { status, stderr } = await copyDirectory(sandbox(), made);
    for (const directory of [made, elsewhere]) remove(directory);
    assert.equal(status, 1);
    assert.match(stderr, /too many files whose other names are missing or far away/);
  });

  it('keeps holes', async () => {
    const made = source();
    const name = path.join(made, 'sparse');
    fs.writeFileSync(name, 'start');
    fs.truncateSync(name, 50_000_000);
    fs.appendFileSync(name, 'end');
    fs.truncateSync(name, 90_000_000);
    const expected = sandbox().list(made);
    await copyDirectory(sandbox(), made);
    remove(made);
    assert.deepEqual(comparable(sandbox().list()), comparable(expected));
    assert.ok(fs.statSync(path.join(sandbox().tree, 'sparse')).blocks < 1000);
  });

  it('keeps attributes of users', async function () {
    const made = source();
    const name = path.join(made, 'a');
    fs.writeFileSync(name, '1');
    if (spawnSync('setfattr', ['-n', 'user.colour', '-v', 'green', name]).status !== 0) this.skip();
    const outcome = await copyDirectory(sandbox(), made);
    remove(made);
    assert.equal(outcome.stderr, '');
    const found = spawnSync('getfattr', [
      '-n',
      'user.colour',
      '--only-values',
      path.join(sandbox().tree, 'a'),
    ]);
    assert.equal(found.stdout.toString(), 'green');
  });

  it('skips FIFOs and sockets, with a word, and never waits for them', async () => {
    const made = source();
    assert.equal(spawnSync('mkfifo', [path.join(made, 'fifo')]).status, 0);
    fs.writeFileSync(path.join(made, 'a'), '1');
    const outcome = await copyDirectory(sandbox(), made);
    remove(made);
    assert.equal(outcome.status, 0);
    assert.match(outcome.stderr, /^left out 1 devices and FIFOs [^\n]+\n$/);
    assert.deepEqual(sandbox().names(), ['a']);
  });

  it('names what it may not read, and the remedy', async function () {
    if (!isRoot) this.skip(); // somebody else's file is needed
    for (const make of [
      (name: string): void => {
        fs.writeFileSync(name, 'secret', { mode: 0o600 });
      },
      (name: string): void => {
        fs.mkdirSync(name, { mode: 0o700 });
      },
    ]) {
      const made = source();
      fs.mkdirSync(path.join(made, 'etc'));
      make(path.join(made, 'etc/secret'));
      const outcome = await copyDirectory(sandbox(), made);
      remove(made);
      assert.equal(outcome.status, 1);
      assert.match(
        outcome.stderr,
        /^cannot read 'etc\/secret' [^\n]*Permission denied; make it readable [^\n]+\n$/,
      );
    }
  });

  it('refuses a destination inside of the source', async () => {
    const outcome = await copyDirectory(sandbox(), sandbox().directory);
    assert.equal(outcome.status, 2);
    assert.match(outcome.stderr, /lies inside of the one to copy, as 'tree'; unpack it elsewhere\n$/);
  });

  it('leaves out what is mounted inside, with a word', async function () {
    if (isUnconfined) this.skip();
    const made = source();
    fs.mkdirSync(path.join(made, 'mounted'));
    const script = `mount -t tmpfs none "$1/mounted" && touch "$1/mounted/x" && tree=$2 source=$1 && shift 2 &&
      exec "$@" 4<"$tree" 5<"$source"`;
    const child = spawn(
      'unshare',
      [
        ...['--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', made, sandbox().tree, binary],
        ...['--root-fd', '4', '--directory', '5', '--max-bytes', '1000', '--max-inodes', '10'],
      ],
      { ...ordinaryUser, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const outcome = await outcomeOf(child);
    remove(made);
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.match(
      outcome.stderr,
      /^warning: left out what other file systems hold [^\n]+ 1 directories [^\n]+\n$/,
    );
    assert.deepEqual(sandbox().names(), ['mounted/']);
  });

  it('refuses what exceeds the budget', async () => {
    const made = source();
    fs.writeFileSync(path.join(made, 'a'), 'x'.repeat(2000));
    const outcome = await copyDirectory(sandbox(), made, { maxBytes: 1000 });
    remove(made);
    assert.equal(outcome.status, 1);
    assert.match(outcome.stderr, /exceed the 1000 bytes/);
  });
});
