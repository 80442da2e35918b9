import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { sif } from '../support/sif-writer.js';
import { makeSquashfs } from '../support/squashfs-image.js';
import { comparable, copyDirectory, outputOf, succeedWithFile } from './root-file.js';
import { eachInSandbox } from './sandbox.js';

describe('stowage-unpack: names of whiteouts in root file systems', () => {
  const sandbox = eachInSandbox();
  const names = ['.wh.etc', '.wh.', '.wh..', '.wh..wh..opq', '.wh..wh.aufs', '.wh..wh.plnk/1', '.wh.d/.wh.x'];
  let source: string;
  let expected: unknown;

  /** What GNU tar makes of a tree with such names. */
  beforeEach(() => {
    source = path.join(sandbox().directory, 'source');
    const reference = path.join(sandbox().directory, 'reference');
    for (const name of ['etc/passwd', 'd/x', ...names]) {
      fs.mkdirSync(path.dirname(path.join(source, name)), { recursive: true });
      fs.writeFileSync(path.join(source, name), name);
    }
    fs.symlinkSync('.wh.etc', path.join(source, '.wh.link'));
    fs.linkSync(path.join(source, '.wh.etc'), path.join(source, '.wh.same'));
    fs.mkdirSync(reference);
    execFileSync('tar', ['-C', reference, '--no-same-owner', '-xpf', '-'], { input: tar() });
    expected = comparable(sandbox().list(reference));
    fs.rmSync(reference, { recursive: true });
  });
  const tar = (): Buffer => outputOf('tar', ['-C', source, '-cf', '-', '.']);
  const squashfs = (): Buffer => makeSquashfs(source, path.join(sandbox().directory, 'image'));

  const files: [kind: string, make: () => Buffer][] = [
    ['tar', tar],
    ['cpio', () => outputOf('sh', ['-c', `cd "$0" && find . | cpio --quiet -o -H newc`, source])],
    ['squashfs', squashfs],
    ['SIF', () => sif([{ content: squashfs(), architecture: '00' }])],
  ];
  for (const [kind, make] of files) {
    it(`are names like any other in ${kind}`, async () => {
      const image = make();
      fs.rmSync(source, { recursive: true });
      assert.deepEqual(comparable(await succeedWithFile(sandbox(), image)), expected);
    });
  }

  it('are names like any other in a directory', async () => {
    const { status, stderr } = await copyDirectory(sandbox(), source);
    fs.rmSync(source, { recursive: true });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.deepEqual(comparable(sandbox().list()), expected);
  });
});
