import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {
  archive,
  directory,
  entry,
  file,
  gnuLongName,
  hardLink,
  pax,
  symlink,
} from '../support/tar-writer.js';
import { eachInSandbox } from './sandbox.js';

describe('stowage-unpack: names in layers', () => {
  const sandbox = eachInSandbox();

  for (const name of ['../tree-canary/song', 'a/../../tree-canary/song', 'a/..', '/../x', '..', './../x']) {
    it(`refuses the name ${name}`, async () => {
      await sandbox().refuse([archive(file('ok', '1'), file(name, 'x'))], /'\.\.'/);
      await sandbox().refuse(
        [archive(file(name, 'x'))],
        new RegExp(`entry '${name.replaceAll('.', '\\.')}'`),
      );
    });
  }

  it('strips the leading slash of an absolute name', async () => {
    await sandbox().succeed([archive(file('/etc/one', '1'), file('//etc//./two', '2'))]);
    assert.deepEqual(sandbox().names(), ['etc/', 'etc/one', 'etc/two']);
  });

  it('stays inside when a child goes through an absolute symlink of the same layer', async () => {
    const { canary } = sandbox();
    await sandbox().succeed([archive(symlink('out', canary), file('out/song', 'evil'))]);
    assert.equal(sandbox().read(`.${canary}/song`), 'evil');
  });

  it('stays inside when a child goes through an absolute symlink of a lower layer', async () => {
    const { canary } = sandbox();
    await sandbox().succeed([archive(symlink('out', canary)), archive(file('out/song', 'evil'))]);
    assert.equal(sandbox().read(`.${canary}/song`), 'evil');
  });

  it('stays inside when a child goes through two symlinks, the second climbing', async () => {
    const climbing = '../../../../../../../../../../tmp';
    const layer = archive(symlink('a', 'b'), symlink('b', climbing), file('a/stowage-was-here', 'x'));
    await sandbox().succeed([layer]);
    assert.equal(sandbox().read('tmp/stowage-was-here'), 'x');
    assert.equal(fs.existsSync('/tmp/stowage-was-here'), false);
  });

  it('stays inside when a child of a later layer goes through two symlinks', async () => {
    const { canary } = sandbox();
    const links = archive(symlink('a', '/b'), symlink('b', canary), symlink('c', `../..${canary}`));
    await sandbox().succeed([links, archive(file('a/song', 'evil'), file('c/nest', 'evil'))]);
    assert.equal(sandbox().read(`.${canary}/song`), 'evil');
    assert.equal(sandbox().read(`.${canary}/nest`), 'evil');
  });

  it('follows an absolute symlink to a directory inside the root', async () => {
    await sandbox().succeed([
      archive(directory('usr'), directory('usr/lib'), symlink('lib', '/usr/lib'), file('lib/x', '1')),
    ]);
    assert.equal(sandbox().read('usr/lib/x'), '1');
  });

  it('does not go to the host through /proc/self/root as a symlink target', async () => {
    await sandbox().succeed([
      archive(symlink('host', '/proc/self/root'), file(`host${sandbox().canary}/song`, 'evil')),
    ]);
    assert.equal(sandbox().read(`proc/self/root${sandbox().canary}/song`), 'evil');
  });

  it('refuses a loop of symlinks', async () => {
    await sandbox().refuse([archive(symlink('a', 'b'), symlink('b', 'a'), file('a/x', ''))], /loop/);
  });

  for (const name of ['.', './.', '/.']) {
    it(`refuses a root entry ${name} that is a file`, async () => {
      await sandbox().refuse([archive(file(name, 'x'))], /root directory/);
    });
  }

  for (const name of ['.', './', './.', '/', '//', '/.', './/./']) {
    it(`refuses a root entry ${name} that is a link or a device`, async () => {
      await sandbox().refuse([archive(symlink(name, '/tmp'))], /root directory/);
      await sandbox().refuse([archive(file('a'), hardLink(name, 'a'))], /root directory/);
      await sandbox().refuse([archive(entry({ name, type: '3' }))], /root directory/);
    });
  }

  it('takes the mode of the root directory from its entry', async () => {
    await sandbox().succeed([archive(directory('./', { mode: 0o751 }), file('./a', ''))]);
    assert.equal(fs.statSync(sandbox().tree).mode & 0o7777, 0o751);
  });

  it('skips an entry without a name, with a warning', async () => {
    const outcome = await sandbox().unpack([archive(file('', 'lost'), file('a', ''))]);
    assert.equal(outcome.status, 0);
    assert.match(outcome.stderr, /^warning: .* 1 .*no name\n$/);
    assert.deepEqual(sandbox().names(), ['a']);
  });

  it('keeps bytes that are not UTF-8, in ustar and in PAX names', async () => {
    const latin = Buffer.from('caf\xe9', 'latin1');
    const paxed = Buffer.from('th\xe9', 'latin1');
    await sandbox().succeed([archive(file(latin, '1'), pax(['path', paxed]), file('x', '2'))]);
    assert.deepEqual(sandbox().names(), ['caf\xe9', 'th\xe9']);
  });

  it('keeps UTF-8 names and link targets of PAX headers', async () => {
    await sandbox().succeed([
      archive(
        pax(['path', 'größe'], ['linkpath', 'ß']),
        symlink('x', 'y'),
        pax(['path', 'ß']),
        file('z', '1'),
      ),
    ]);
    assert.equal(fs.readlinkSync(path.join(sandbox().tree, 'größe')), 'ß');
    assert.equal(sandbox().read('größe'), '1');
  });

  it('takes 255 bytes in one component and refuses 256', async () => {
    await sandbox().succeed([archive(gnuLongName('n'.repeat(255)), file('x', ''))]);
    assert.deepEqual(sandbox().names(), ['n'.repeat(255)]);
    await sandbox().refuse([archive(gnuLongName('n'.repeat(256)), file('x', ''))], /more than 255 bytes/);
  });

  it('goes sixty directories deep with names of 200 bytes', async () => {
    const deep = Array.from({ length: 60 }, (_, i) => String(i).padEnd(200, 'd')).join('/');
    const outcome = await sandbox().unpack([
      archive(
        gnuLongName(`${deep}/leaf`),
        file('x', 'deep'),
        gnuLongName(`${deep}/leaf2`),
        file('x', 'deeper'),
      ),
      archive(gnuLongName(`${deep}/.wh.leaf`), file('x', '')),
    ]);
    assert.deepEqual({ status: outcome.status, stderr: outcome.stderr }, { status: 0, stderr: '' });
    const found = spawnSync('find', ['.', '-type', 'f', '-printf', '%f %s %d\n'], {
      cwd: sandbox().tree,
      encoding: 'utf8',
    });
    assert.equal(found.stdout, 'leaf2 6 61\n');
  });

  it('refuses directories nested deeper than 256, even by way of symlinks', async () => {
    const nested = 'd/'.repeat(200);
    await sandbox().refuse([archive(gnuLongName('d/'.repeat(300)), directory('x'))], /256 directories deep/);
    await sandbox().refuse(
      [
        archive(
          gnuLongName(nested),
          directory('x'),
          gnuLongName(`${nested}x`),
          file('x'),
          pax(['path', 'short'], ['linkpath', nested]),
          symlink('x', 'y'),
          gnuLongName(`short/${nested}`),
          directory('x'),
        ),
      ],
      /256 directories deep/,
    );
  });

  it('escapes newlines and terminal codes where it prints a name', async () => {
    await sandbox().refuse([archive(file('a\n\x1b[31m/../b', ''))], /'a\\n\\033\[31m\/\.\.\/b'/);
  });

  it('refuses a file used as a directory in the same layer', async () => {
    await sandbox().refuse([archive(file('a', ''), file('a/b', ''))], /'a\/b'.*no directory/);
  });

  it('lets the last of duplicate entries win', async () => {
    await sandbox().succeed([
      archive(
        file('a', 'first'),
        file('a', 'last'),
        symlink('b', 'x'),
        file('b', '1'),
        file('c', ''),
        symlink('c', 'y'),
      ),
    ]);
    assert.equal(sandbox().read('a'), 'last');
    assert.equal(sandbox().read('b'), '1');
    assert.equal(fs.readlinkSync(path.join(sandbox().tree, 'c')), 'y');
  });

  it('replaces a directory by a file, a link, and back', async () => {
    const layers = [
      archive(file('f/x', '1'), file('l/x', '1'), directory('back')),
      archive(file('f', 'file'), symlink('l', 'f'), file('back', 'file')),
      archive(file('back/again', '2'), directory('l'), file('l/new', '3')),
    ];
    await sandbox().succeed(layers);
    assert.deepEqual(sandbox().names(), ['back/', 'back/again', 'f', 'l/', 'l/new']);
    assert.equal(sandbox().read('f'), 'file');
  });

  it('does not go by a path through a link that the directory at its end has replaced', async () => {
    // In the upper layer b/b is at first b itself, by way of the link, and then a link in it.
    const upper = archive(directory('b/b'), symlink('b/b', '../a'), file('b/b/new', '1'));
    await sandbox().succeed([archive(directory('a'), symlink('b', '/')), upper]);
    assert.deepEqual(sandbox().names(), ['a/', 'a/new', 'b/', 'b/b']);
  });

  it('keeps the contents of a directory that an upper layer names again', async () => {
    await sandbox().succeed([
      archive(directory('d'), file('d/x', '1')),
      archive(directory('d', { mode: 0o700 }), file('d/y', '2')),
    ]);
    assert.deepEqual(sandbox().names(), ['d/', 'd/x', 'd/y']);
    assert.equal(sandbox().list().get('d')?.mode, 0o700);
  });

  it('takes a trailing slash on a v7 name as a directory', async () => {
    await sandbox().succeed([archive(entry({ name: 'old/', type: '\0', format: 'v7', mode: 0o755 }))]);
    assert.deepEqual(sandbox().names(), ['old/']);
  });
});
