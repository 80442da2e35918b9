import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { compareTrees, type DifferenceKind } from '../support/tree-comparison.js';

describe('comparison of trees', () => {
  let place: string;
  beforeEach(() => {
    place = fs.mkdtempSync(path.join(os.tmpdir(), 'stowage-compare-'));
    for (const tree of ['one', 'other']) {
      const root = path.join(place, tree);
      fs.mkdirSync(path.join(root, 'd'), { recursive: true });
      fs.writeFileSync(path.join(root, 'd/file'), 'content');
      fs.linkSync(path.join(root, 'd/file'), path.join(root, 'd/same'));
      fs.writeFileSync(path.join(root, 'alone'), 'x');
      fs.writeFileSync(Buffer.from(`${root}/caf\xe9\n`, 'latin1'), '');
      fs.symlinkSync('file', path.join(root, 'd/link'));
      for (const name of ['d/file', 'alone', 'd', '.']) fs.utimesSync(path.join(root, name), 1e9, 1e9);
      fs.utimesSync(Buffer.from(`${root}/caf\xe9\n`, 'latin1'), 1e9, 1e9);
      fs.lutimesSync(path.join(root, 'd/link'), 1e9, 1e9);
    }
  });
  afterEach(() => fs.rmSync(place, { recursive: true }));
  const compare = (): string[] =>
    compareTrees(path.join(place, 'one'), path.join(place, 'other')).map(
      ({ path: name, kind }) => `${name} ${kind}`,
    );

  it('finds none between equal ones', () => {
    assert.deepEqual(compare(), []);
  });

  /** Gives what the change has written to, and the directories that it has changed, their times back. */
  const keepTimes = (root: string): void => {
    for (const name of ['alone', 'd', '.'])
      if (fs.existsSync(`${root}/${name}`)) fs.utimesSync(`${root}/${name}`, 1e9, 1e9);
  };
  const changes: [kind: DifferenceKind, where: string, change: (root: string) => void][] = [
    ['missing', 'alone', (root) => fs.rmSync(`${root}/alone`)],
    ['extra', 'new', (root) => fs.writeFileSync(`${root}/new`, '')],
    [
      'type',
      'alone',
      (root) => {
        fs.rmSync(`${root}/alone`);
        fs.mkdirSync(`${root}/alone`);
      },
    ],
    ['mode', 'alone', (root) => fs.chmodSync(`${root}/alone`, 0o600)],
    ['mode', 'd', (root) => fs.chmodSync(`${root}/d`, 0o1755)],
    ['size', 'alone', (root) => fs.writeFileSync(`${root}/alone`, 'xx')],
    ['content', 'alone', (root) => fs.writeFileSync(`${root}/alone`, 'y')],
    ['mtime', 'alone', (root) => fs.utimesSync(`${root}/alone`, 1e9, 1e9 + 0.25)],
    ['mtime', 'd', (root) => fs.utimesSync(`${root}/d`, 1e9, 1e9 + 1)],
    ['mtime', 'd/link', (root) => fs.lutimesSync(`${root}/d/link`, 1e9, 1e9 + 1)],
    [
      'target',
      'd/link',
      (root) => {
        fs.rmSync(`${root}/d/link`);
        fs.symlinkSync('same', `${root}/d/link`);
        fs.lutimesSync(`${root}/d/link`, 1e9, 1e9);
      },
    ],
    ['attributes', 'd', (root) => execFileSync('setfattr', ['-n', 'user.a', '-v', 'b', `${root}/d`])],
    [
      'attributes',
      'caf\xe9\n',
      (root) => execFileSync('bash', ['-c', 'setfattr -n user.a -v b "$0"/caf*', root], { stdio: 'inherit' }),
    ],
  ];
  for (const [kind, where, change] of changes) {
    it(`finds that the ${kind} of ${JSON.stringify(where)} differs`, () => {
      const root = path.join(place, 'one');
      change(root);
      if (kind !== 'mtime') keepTimes(root);
      assert.deepEqual(compare(), [`${where} ${kind}`]);
    });
  }

  it('finds that two names are of two files where they should be of one', () => {
    const root = path.join(place, 'one');
    fs.rmSync(`${root}/d/same`);
    fs.copyFileSync(`${root}/d/file`, `${root}/d/same`);
    fs.utimesSync(`${root}/d/same`, 1e9, 1e9);
    keepTimes(root);
    assert.deepEqual(compare().sort(), ['d/file links', 'd/same links']);
  });

  it('leaves out what it is told to', () => {
    fs.chmodSync(path.join(place, 'one/d'), 0o700);
    fs.utimesSync(path.join(place, 'one/alone'), 1, 1);
    const options = { ignore: ['mode'] as const, ignoreTimeOf: (name: string) => name === 'alone' };
    assert.deepEqual(compareTrees(path.join(place, 'one'), path.join(place, 'other'), options), []);
  });
});
