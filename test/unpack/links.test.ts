import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { archive, directory, entry, file, hardLink, pax, symlink } from '../support/tar-writer.js';
import { eachInSandbox } from './sandbox.js';

describe('stowage-unpack: links in layers', () => {
  const sandbox = eachInSandbox();
  const inode = (name: string): number => fs.lstatSync(path.join(sandbox().tree, name)).ino;

  it('links to an absolute target inside the root', async () => {
    await sandbox().succeed([archive(file('etc/a', '1'), hardLink('b', '/etc/a'))]);
    assert.equal(inode('b'), inode('etc/a'));
  });

  it('links to a file of a lower layer, past duplicates', async () => {
    await sandbox().succeed([archive(file('a', '1')), archive(file('b', 'x'), hardLink('b', 'a'))]);
    assert.equal(inode('b'), inode('a'));
  });

  it('links the link itself, not what a symlink leads to', async () => {
    await sandbox().succeed([archive(file('a', '1'), symlink('s', 'a'), hardLink('h', 's'))]);
    assert.equal(inode('h'), inode('s'));
    assert.equal(fs.readlinkSync(path.join(sandbox().tree, 'h')), 'a');
  });

  it('refuses a hard link that climbs to a sibling of the root', async () => {
    await sandbox().refuse([archive(hardLink('h', '../tree-canary/song'))], /'\.\.'/);
  });

  it('resolves an absolute target beside the root inside it, and finds nothing there', async () => {
    await sandbox().refuse([archive(hardLink('h', `${sandbox().canary}/song`))], /does not exist before it/);
  });

  it('refuses a hard link through a symlink that leads out', async () => {
    await sandbox().refuse(
      [archive(symlink('s', sandbox().canary), hardLink('h', 's/song'))],
      /does not exist/,
    );
  });

  it('refuses a hard link before its target', async () => {
    await sandbox().refuse(
      [archive(hardLink('h', 'a'), file('a', '1'))],
      /'h' is a hard link to 'a', which does not/,
    );
  });

  it('refuses a hard link to a directory, to the root and to itself', async () => {
    await sandbox().refuse([archive(directory('d'), hardLink('h', 'd'))], /is a directory/);
    await sandbox().refuse([archive(hardLink('h', '/'))], /is the root directory/);
    await sandbox().refuse([archive(file('h', ''), hardLink('h', './h'))], /is itself/);
  });

  it('refuses a hard link to something inside the directory it replaces', async () => {
    await sandbox().refuse([archive(file('d/x', ''), hardLink('d', 'd/x'))], /which it replaces/);
  });

  it('refuses a hard link to the lower file that its own parent directory replaces', async () => {
    await sandbox().refuse([archive(file('d', '')), archive(hardLink('d/x', 'd'))], /which it replaces/);
  });

  it('refuses a symlink without a target', async () => {
    await sandbox().refuse([archive(symlink('s', ''))], /has no target/);
  });

  it('keeps symlink targets as they are, however they climb', async () => {
    await sandbox().succeed([archive(symlink('s', '../../..//etc/./passwd'))]);
    assert.equal(fs.readlinkSync(path.join(sandbox().tree, 's')), '../../..//etc/./passwd');
  });

  it('takes a symlink target of 4095 bytes and refuses one that is longer', async () => {
    const to = (target: string): Buffer => archive(pax(['linkpath', target]), symlink('s', 'x'));
    await sandbox().succeed([to('t/'.repeat(2047) + 't')]);
    await sandbox().refuse([to('t/'.repeat(2048))], /'s': .* longer than Linux allows/);
  });

  it('ignores the size that old archivers gave hard links', async () => {
    const link = entry({ name: 'b', type: '1', linkName: 'a', size: 5, format: 'v7' });
    await sandbox().succeed([
      archive(file('a', '12345', { format: 'v7' }), link, file('c', '3', { format: 'v7' })),
    ]);
    assert.equal(inode('b'), inode('a'));
    assert.equal(sandbox().read('c'), '3');
  });

  it('takes a PAX hard link that repeats the content', async () => {
    await sandbox().succeed([
      archive(
        pax(['comment', 'a']),
        file('a', 'data'),
        pax(['size', '4']),
        hardLink('b', 'a', { size: 4 }),
        Buffer.from('data'.padEnd(512, '\0')),
        file('c', ''),
      ),
    ]);
    assert.equal(inode('b'), inode('a'));
    assert.deepEqual(sandbox().names(), ['a', 'b', 'c']);
  });

  it('skips hard links to skipped devices', async () => {
    const outcome = await sandbox().unpack([
      archive(entry({ name: 'dev/null', type: '3' }), hardLink('dev/zero', 'dev/null'), file('a', '')),
    ]);
    assert.equal(outcome.status, 0);
    assert.match(outcome.stderr, /^left out 2 devices and FIFOs [^\n]*\n$/);
    assert.deepEqual(sandbox().names(), ['a', 'dev/']);
  });
});
