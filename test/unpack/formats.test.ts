import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {
  archive,
  base256,
  directory,
  entry,
  file,
  gnuLongLink,
  gnuLongName,
  header,
  padded,
  pax,
  rawPax,
  symlink,
} from '../support/tar-writer.js';
import { eachInSandbox } from './sandbox.js';

describe('stowage-unpack: tar formats', () => {
  const sandbox = eachInSandbox();

  /** A directory of many kinds of entries, and what GNU tar makes of an archive of it. */
  function makeSource(longest: number): string {
    const source = path.join(sandbox().directory, 'source');
    fs.mkdirSync(path.join(source, 'bin'), { recursive: true });
    fs.mkdirSync(path.join(source, 'closed'), { mode: 0o500 });
    fs.writeFileSync(path.join(source, 'bin/tool'), 'x'.repeat(70_000), { mode: 0o755 });
    fs.writeFileSync(path.join(source, 'n'.repeat(longest)), 'long name');
    fs.linkSync(path.join(source, 'bin/tool'), path.join(source, 'bin/same'));
    fs.symlinkSync('bin/tool', path.join(source, 'link'));
    fs.symlinkSync('t'.repeat(longest), path.join(source, 'dangling'));
    fs.writeFileSync(path.join(source, 'empty'), '');
    fs.utimesSync(path.join(source, 'empty'), 1e9, 1e9);
    fs.utimesSync(path.join(source, 'bin'), 1.1e9, 1.1e9);
    return source;
  }

  const writers: [name: string, longest: number, command: string, ...arguments_: string[]][] = [
    ['GNU tar, gnu', 200, 'tar', '--format=gnu'],
    ['GNU tar, posix', 200, 'tar', '--format=posix'],
    ['GNU tar, oldgnu', 200, 'tar', '--format=oldgnu'],
    ['GNU tar, ustar', 90, 'tar', '--format=ustar'],
    ['GNU tar, v7', 90, 'tar', '--format=v7'],
    ['bsdtar, pax', 200, 'bsdtar', '--format=pax'],
    ['bsdtar, gnutar', 200, 'bsdtar', '--format=gnutar'],
  ];
  for (const [name, longest, command, ...options] of writers) {
    it(`unpacks what ${name} writes as GNU tar does`, async () => {
      const source = makeSource(longest);
      const tar = execFileSync(command, [...options, '-C', source, '-cf', '-', '.'], { maxBuffer: 1 << 24 });
      const reference = path.join(sandbox().directory, 'reference');
      fs.mkdirSync(reference);
      execFileSync('tar', ['-C', reference, '--no-same-owner', '-xpf', '-'], { input: tar });
      const expected = sandbox().list(reference);
      assert.ok(expected.size >= 8);
      for (const made of [source, reference]) fs.rmSync(made, { recursive: true });
      const found = await sandbox().succeed([tar]);
      // Extracting links touches no times that tar keeps; some formats keep none below a second.
      const plain = (tree: typeof expected): unknown =>
        [...tree]
          .map(([key, value]) => [key, { ...value, mtimeMs: Math.floor(value.mtimeMs / 1000) }])
          .sort();
      assert.deepEqual(plain(found), plain(expected));
      const inode = (file: string): number => fs.statSync(path.join(sandbox().tree, file)).ino;
      assert.equal(inode('bin/same'), inode('bin/tool'));
    });
  }

  it('joins prefix and name of ustar', async () => {
    await sandbox().succeed([archive(file('leaf', '1', { prefix: 'usr/share' }))]);
    assert.equal(sandbox().read('usr/share/leaf'), '1');
  });

  it('reads sizes in base 256', async () => {
    await sandbox().succeed([archive(file('a', 'four', { rawSize: base256(4n) }), file('b', '2'))]);
    assert.equal(sandbox().read('a') + sandbox().read('b'), 'four2');
  });

  it('prefers the PAX size to the header size', async () => {
    await sandbox().succeed([archive(pax(['size', '4']), file('a', 'four', { size: 0 }), file('b', '2'))]);
    assert.equal(sandbox().read('a') + sandbox().read('b'), 'four2');
  });

  it('ignores global PAX headers', async () => {
    const global = entry(
      { name: 'pax_global_header', type: 'g' },
      '52 comment=0123456789012345678901234567890123456789\n',
    );
    await sandbox().succeed([archive(global, file('a', '1'))]);
    assert.deepEqual(sandbox().names(), ['a']);
  });

  it('accepts PAX and GNU names that agree', async () => {
    await sandbox().succeed([archive(gnuLongName('same'), pax(['path', 'same']), file('x', '1'))]);
    assert.deepEqual(sandbox().names(), ['same']);
  });

  it('refuses PAX and GNU names that contradict each other, whichever comes first', async () => {
    const said = /called 'b' by its PAX header and 'a' by its GNU header/;
    await sandbox().refuse([archive(gnuLongName('a'), pax(['path', 'b']), file('x', ''))], said);
    await sandbox().refuse([archive(pax(['path', 'b']), gnuLongName('a'), file('x', ''))], said);
    await sandbox().refuse(
      [archive(gnuLongLink('a'), pax(['linkpath', 'b']), symlink('x', 'x'))],
      /leads to 'b'/,
    );
  });

  it('refuses two extended headers of a kind for one entry', async () => {
    await sandbox().refuse([archive(pax(['path', 'a']), pax(['path', 'b']), file('x', ''))], /contradict/);
    await sandbox().refuse([archive(gnuLongName('a'), gnuLongName('b'), file('x', ''))], /contradict/);
  });

  it('refuses NUL bytes in PAX names, link targets and keys, and in GNU names', async () => {
    await sandbox().refuse([archive(pax(['path', 'a\0b']), file('x', ''))], /'path' contains a NUL/);
    await sandbox().refuse(
      [archive(pax(['linkpath', 'a\0b']), symlink('x', 'y'))],
      /'linkpath' contains a NUL/,
    );
    await sandbox().refuse([archive(pax(['pa\0th', 'a']), file('x', ''))], /NUL/);
    await sandbox().refuse([archive(gnuLongName('a\0b'), file('x', ''))], /NUL/);
  });

  it('refuses negative, overflowing and nonsensical sizes', async () => {
    await sandbox().refuse([archive(pax(['size', '-1']), file('a', ''))], /size of 'a'/);
    await sandbox().refuse(
      [archive(pax(['size', '9223372036854775808']), file('a', ''))],
      /impossibly large/,
    );
    await sandbox().refuse([archive(pax(['size', '1e3']), file('a', ''))], /not a number/);
    await sandbox().refuse([archive(file('a', '', { rawSize: base256(-1n) }))], /negative size/);
    await sandbox().refuse([archive(file('a', '', { rawSize: base256(1n << 64n) }))], /impossible size/);
    await sandbox().refuse(
      [archive(file('a', '', { rawSize: base256((1n << 63n) - 1n) }))],
      /impossible size|exceed/,
    );
  });

  it('refuses malformed PAX records', async () => {
    for (const body of [
      'x',
      '5 a=',
      '99 path=a\n',
      '0 path=a\n',
      '9 path=a b',
      '7 patha\n',
      ' path=a\n',
      '5 =a\n',
    ])
      await sandbox().refuse([archive(rawPax(body), file('x', ''))], /PAX record/);
  });

  it('refuses a wrong header checksum', async () => {
    await sandbox().refuse([archive(file('a', ''), header({ name: 'b', badChecksum: true }))], /checksum/);
  });

  it('refuses what is no tar archive', async () => {
    await sandbox().refuse([Buffer.from('<html>not found</html>'.padEnd(2000))], /not a tar archive/);
    await sandbox().refuse([Buffer.from('short')], /tar archive/);
  });

  it('refuses a body that stops early, inside and at a block boundary', async () => {
    const whole = file('a', 'x'.repeat(3000));
    for (const size of [700, 1024, 3000])
      await sandbox().refuse([whole.subarray(0, size)], /damaged.*'a'|'a'.*damaged/);
  });

  it('refuses an extended header without an entry', async () => {
    await sandbox().refuse([archive(pax(['path', 'a']))], /damaged/);
    await sandbox().refuse([pax(['path', 'a'])], /damaged/);
  });

  it('does without end-of-archive blocks, and with one only', async () => {
    await sandbox().succeed([file('a', '1')]);
    await sandbox().succeed([Buffer.concat([file('a', '1'), Buffer.alloc(512)])]);
    assert.equal(sandbox().read('a'), '1');
  });

  it('takes archives without entries', async () => {
    await sandbox().succeed([archive(), Buffer.alloc(0), Buffer.alloc(10_240)]);
    assert.deepEqual(sandbox().names(), []);
  });

  it('reads nothing after the end of the archive', async () => {
    await sandbox().succeed([archive(file('a', ''), Buffer.alloc(1024), file('b', ''))]);
    assert.deepEqual(sandbox().names(), ['a']);
  });

  it('refuses a part of a multi-volume archive', async () => {
    await sandbox().refuse([archive(entry({ name: 'a', type: 'M', format: 'gnu' }))], /multi-volume/);
  });

  it('gives directories and links no body, whatever size they claim', async () => {
    await sandbox().succeed([
      archive(
        directory('d', { size: 0 }),
        header({ name: 's', type: '2', linkName: 'd', size: 0 }),
        file('a', '1'),
      ),
    ]);
    const claiming = archive(header({ name: 'd', type: '5', size: 512 }), padded('x'), file('a', '1'));
    const outcome = await sandbox().unpack([claiming]);
    assert.ok(outcome.status === 1, 'a directory with content is damage');
  });
});
