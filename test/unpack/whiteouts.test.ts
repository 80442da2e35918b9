import assert from 'node:assert/strict';
import { archive, directory, file, hardLink, symlink } from '../support/tar-writer.js';
import { eachInSandbox } from './sandbox.js';

describe('stowage-unpack: whiteouts', () => {
  const sandbox = eachInSandbox();

  it('removes what a lower layer holds, files and whole directories', async () => {
    await sandbox().succeed([
      archive(file('a', ''), file('keep', ''), file('d/e/f', '')),
      archive(file('.wh.a'), file('.wh.d')),
    ]);
    assert.deepEqual(sandbox().names(), ['keep']);
  });

  it('leaves entries of its own layer alone, before or after the whiteout', async () => {
    await sandbox().succeed([
      archive(file('a', 'old'), file('b', 'old'), file('d/old', ''), file('e/old', '')),
      archive(
        ...[file('.wh.a'), file('a', 'new'), file('b', 'new'), file('.wh.b')],
        ...[file('d/new', ''), file('.wh.d'), file('.wh.e'), file('e/new', '')],
      ),
    ]);
    assert.deepEqual(sandbox().names(), ['a', 'b', 'd/', 'd/new', 'e/', 'e/new']);
    assert.equal(sandbox().read('a') + sandbox().read('b'), 'newnew');
  });

  for (const position of ['first', 'between', 'last'] as const) {
    it(`hides lower content with an opaque marker that stands ${position} among its siblings`, async () => {
      const siblings = [directory('d'), file('d/new', 'new'), file('d/sub/new', 'new')];
      siblings.splice({ first: 0, between: 2, last: 3 }[position], 0, file('d/.wh..wh..opq'));
      await sandbox().succeed([
        archive(
          file('d/old', ''),
          file('d/new', 'old'),
          file('d/sub/old', ''),
          file('d/lost/x', ''),
          file('e', ''),
        ),
        archive(...siblings),
      ]);
      assert.deepEqual(sandbox().names(), ['d/', 'd/new', 'd/sub/', 'd/sub/new', 'e']);
      assert.equal(sandbox().read('d/new'), 'new');
    });
  }

  it('empties the root with an opaque marker there, but for its own layer', async () => {
    await sandbox().succeed([
      archive(file('a', ''), file('d/x', '')),
      archive(file('d/y', ''), file('.wh..wh..opq')),
    ]);
    assert.deepEqual(sandbox().names(), ['d/', 'd/y']);
  });

  it('keeps what the layer wrote through a symlink into a directory it then hides', async () => {
    await sandbox().succeed([
      archive(file('real/old', ''), symlink('link', 'real')),
      archive(file('link/new', ''), file('.wh..wh..opq')),
    ]);
    assert.deepEqual(sandbox().names(), ['real/', 'real/new']);
  });

  it('hides a lower file though the layer has a hard link to it', async () => {
    await sandbox().succeed([
      archive(file('d/x', '1')),
      archive(hardLink('y', 'd/x'), file('d/.wh..wh..opq')),
    ]);
    assert.deepEqual(sandbox().names(), ['d/', 'y']);
    assert.equal(sandbox().read('y'), '1');
  });

  it('has no effect in the lowest layer', async () => {
    await sandbox().succeed([
      archive(file('d/a', ''), file('d/.wh.a'), file('d/.wh..wh..opq'), file('.wh.missing')),
    ]);
    assert.deepEqual(sandbox().names(), ['d/', 'd/a']);
  });

  it('reaches no further than the layers below it', async () => {
    await sandbox().succeed([archive(file('a', '1')), archive(file('.wh.a')), archive(file('a', '3'))]);
    assert.equal(sandbox().read('a'), '3');
  });

  it('removes through a symlinked parent inside the root only', async () => {
    await sandbox().succeed([
      archive(file('real/x', ''), symlink('in', '/real'), symlink('out', sandbox().canary)),
      archive(file('in/.wh.x'), file('out/.wh.song'), file('out/.wh..wh..opq')),
    ]);
    assert.deepEqual(sandbox().names(), ['in', 'out', 'real/']);
  });

  it('removes a symlink, not what it leads to', async () => {
    await sandbox().succeed([archive(file('real/x', ''), symlink('s', 'real')), archive(file('.wh.s'))]);
    assert.deepEqual(sandbox().names(), ['real/', 'real/x']);
  });

  for (const name of ['.wh.', '.wh..', '.wh...', 'd/.wh..', 'd/.wh...']) {
    it(`refuses ${name}`, async () => {
      await sandbox().refuse([archive(file('d/x', '')), archive(file(name))], /whiteout/);
    });
  }

  it('refuses an entry inside a whiteout', async () => {
    await sandbox().refuse([archive(file('.wh.a/b', ''))], /inside a whiteout/);
  });

  it('leaves out the housekeeping of aufs', async () => {
    await sandbox().succeed([
      archive(directory('.wh..wh.plnk'), file('.wh..wh.plnk/1.2', ''), file('.wh..wh.aufs')),
    ]);
    assert.deepEqual(sandbox().names(), []);
  });
});
