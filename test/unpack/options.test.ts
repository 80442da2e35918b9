import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { archive, file } from '../support/tar-writer.js';
import { binary, eachInSandbox, isUnconfined, outcomeOf, unpackArguments } from './sandbox.js';

describe('stowage-unpack: command line', () => {
  const sandbox = eachInSandbox();
  const sum = 'a'.repeat(64);
  const layer = `5:1:sha256:${sum}:sha256:${sum}`;
  const complete = ['--root-fd', '4', '--max-bytes', '1', '--max-inodes', '1', '--layer', layer];

  const misuses: [name: string, ...arguments_: string[]][] = [
    ['nothing'],
    ['an option without a value', '--root-fd'],
    ['an unknown option', ...complete, '--fast', 'yes'],
    ['no layer', ...complete.slice(0, 6)],
    ['no root', ...complete.slice(2)],
    ['a size that is no number', ...complete, '--max-bytes', '1k'],
    ['a negative size', ...complete, '--max-bytes', '-1'],
    ['a size over 2^63', ...complete, '--max-bytes', '9223372036854775808'],
    ['a layer without diff_id', ...complete, '--layer', `5:1:sha256:${sum}`],
    ['a layer of unknown digest and diff_id', ...complete, '--layer', '5:1:-:-'],
    ['a layer at no offset', ...complete, '--layer', layer.replace('5:', '5@:')],
    ['a layer whose end is past 2^63', ...complete, '--layer', layer.replace('5:', '5@9223372036854775807:')],
    ['a depth that no tree could be finished at', ...complete, '--max-depth', '901'],
    ['a layer with something after it', ...complete, '--layer', `${layer}:x`],
    ['md5', ...complete, '--layer', `5:1:md5:${'a'.repeat(32)}:sha256:${sum}`],
    ['a digest in upper case', ...complete, '--layer', `5:1:sha256:${'A'.repeat(64)}:sha256:${sum}`],
    ['a file without digest', ...complete.slice(0, 6), '--file', '5:1'],
    ['a file with md5', ...complete.slice(0, 6), '--file', `5:1:md5:${'a'.repeat(32)}`],
    ['a file and a layer', ...complete, '--file', `5:1:sha256:${sum}`],
    ['a directory and a layer', ...complete, '--directory', '5'],
    ['--keep-squashfs without a file', ...complete, '--keep-squashfs'],
    ['seconds that are no number', ...complete, '--max-seconds', 'ten'],
    ['a file to identify and a layer', ...complete, '--identify', '5'],
    ['a file to identify and a root', '--identify', '5', '--root-fd', '4'],
    ['a digest that is a path', ...complete, '--layer', `5:1:sha256:../../etc/passwd:sha256:${sum}`],
  ];
  for (const [name, ...arguments_] of misuses) {
    it(`explains itself when given ${name}`, () => {
      const { status, stderr } = spawnSync(binary, arguments_, { encoding: 'utf8' });
      assert.equal(status, 2);
      assert.match(stderr, /^[^\n]+; usage: stowage-unpack [^\n]+\n$/);
    });
  }

  it('refuses a root that is a file, or not open at all', function () {
    if (isUnconfined) this.skip(); // entering the root is part of the confinement
    const blob = archive(file('a', ''));
    const arguments_ = unpackArguments([{ blob }], {}, 4, 4);
    const song = fs.openSync(path.join(sandbox().canary, 'song'), 'r');
    const asFile = spawnSync(binary, arguments_, {
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe', 'ignore', song],
    });
    fs.closeSync(song);
    const asNothing = spawnSync(binary, arguments_, {
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    for (const { status, stderr } of [asFile, asNothing]) {
      assert.equal(status, 2);
      assert.match(stderr, /^--root-fd [^\n]+\n$/);
    }
  });

  it('refuses a directory that is not empty', async () => {
    fs.writeFileSync(path.join(sandbox().tree, 'mine'), 'precious');
    const outcome = await outcomeOf(sandbox().start([{ blob: archive(file('a', '')) }]));
    assert.equal(outcome.status, 2);
    assert.match(outcome.stderr, /not empty/);
    assert.deepEqual(sandbox().names(), ['mine']);
    assert.equal(sandbox().read('mine'), 'precious');
  });
});
