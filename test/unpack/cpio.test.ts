import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { cpioArchive, cpioEntry, cpioTrailer, type CpioFormat } from '../support/cpio-writer.js';
import {
  assertLinksKept,
  comparable,
  makeSource,
  refuseFile,
  succeedWithFile,
  unpackFile,
} from './root-file.js';
import { eachInSandbox } from './sandbox.js';

const formats: CpioFormat[] = ['odc', 'newc', 'crc', 'binary', 'swapped'];
const directoryMode = 0o040755;
const symlinkMode = 0o120777;

describe('stowage-unpack: cpio', () => {
  const sandbox = eachInSandbox();

  const writers: [name: string, command: string, ...arguments_: string[]][] = [
    ...['bin', 'odc', 'newc', 'crc'].map((format): [string, string, ...string[]] => [
      `GNU cpio, ${format}`,
      'cpio',
      ...['--quiet', '-o', '-H', format],
    ]),
    ...['odc', 'newc'].map((format): [string, string, ...string[]] => [
      `bsdtar, ${format}`,
      'bsdtar',
      ...[`--format=${format}`, '-cnf', '-', '-T', '-'],
    ]),
  ];
  for (const [name, command, ...options] of writers) {
    it(`unpacks what ${name} writes`, async () => {
      const source = makeSource(sandbox());
      const listed = execFileSync('find', ['.'], { cwd: source });
      const archive = execFileSync(command, options, { cwd: source, input: listed, stdio: 'pipe' });
      const expected = comparable(sandbox().list(source));
      fs.rmSync(source, { recursive: true });
      const found = await succeedWithFile(sandbox(), archive);
      assert.deepEqual(comparable(found), expected);
      assertLinksKept(sandbox());
      assert.equal(Math.floor(fs.statSync(sandbox().tree).mtimeMs / 1000), 1.2e9);
    });
  }

  for (const format of formats) {
    const entry = cpioEntry.bind(undefined, format);
    const archive = cpioArchive.bind(undefined, format);

    describe(format, () => {
      it('takes a symlink named TRAILER!!! as an entry, not as the end', async () => {
        await succeedWithFile(
          sandbox(),
          archive(entry({ name: 'TRAILER!!!', mode: symlinkMode }, 'a'), entry({ name: 'a' }, '1')),
        );
        assert.equal(fs.readlinkSync(path.join(sandbox().tree, 'TRAILER!!!')), 'a');
        assert.equal(sandbox().read('a'), '1');
      });

      it('reads nothing after the trailer', async () => {
        const after = entry({ name: 'b' }, '2');
        await succeedWithFile(sandbox(), Buffer.concat([archive(entry({ name: 'a' }, '1')), after]));
        assert.deepEqual(sandbox().names(), ['a']);
      });

      it('refuses names that climb out, and strips leading slashes', async () => {
        for (const name of ['../tree-canary/song', 'a/../../tree-canary/song', '/../x', '..'])
          await refuseFile(sandbox(), archive(entry({ name }, 'x')), /'\.\.'/);
        await succeedWithFile(sandbox(), archive(entry({ name: '//etc/a' }, '1')));
        assert.deepEqual(sandbox().names(), ['etc/', 'etc/a']);
      });

      it('stays inside when a child goes through an absolute symlink', async () => {
        const { canary } = sandbox();
        await succeedWithFile(
          sandbox(),
          archive(entry({ name: 'out', mode: symlinkMode }, canary), entry({ name: 'out/song' }, 'evil')),
        );
        assert.equal(sandbox().read(`.${canary}/song`), 'evil');
      });

      it('refuses a name without a length, and one that is too long', async () => {
        await refuseFile(sandbox(), archive(entry({ name: '', nameSize: 0 })), /name has no length/);
        if (format === 'binary' || format === 'swapped') return; // 16 bits hold no such length
        const huge = entry({ name: 'a'.repeat(70_000) });
        await refuseFile(sandbox(), archive(huge), /longer than 64 KiB/);
      });

      it('refuses a name with a NUL byte, and one without any', async () => {
        await refuseFile(sandbox(), archive(entry({ name: 'a\0b' })), /name does not end/);
        await refuseFile(sandbox(), archive(entry({ name: 'abcdef', nameSize: 4 })), /name does not end/);
      });

      it('refuses an archive that stops anywhere', async () => {
        const whole = archive(entry({ name: 'a' }, 'x'.repeat(100)));
        for (const size of [30, 80, 160, whole.length - cpioTrailer(format).length, whole.length - 8])
          await refuseFile(sandbox(), whole.subarray(0, size), /cpio archive is damaged|no image/);
      });

      it('refuses rubbish where a header must be', async () => {
        await refuseFile(
          sandbox(),
          Buffer.concat([entry({ name: 'a' }, '1'), Buffer.alloc(200, 0x55)]),
          /after the entry 'a': there is no header/,
        );
      });

      it('skips devices, with a word', async () => {
        const outcome = await unpackFile(
          sandbox(),
          archive(entry({ name: 'null', mode: 0o020666 }), entry({ name: 'a' }, '1')),
        );
        assert.match(outcome.stderr, /^left out 1 devices and FIFOs [^\n]+\n$/);
        assert.deepEqual(sandbox().names(), ['a']);
      });

      it('refuses a symlink whose target is longer than a path', async () => {
        const long = entry({ name: 'l', mode: symlinkMode }, 't'.repeat(5000));
        await refuseFile(sandbox(), archive(long), /'l' has a target longer than Linux allows/);
      });
    });
  }

  it('takes data from the last hard link', async () => {
    for (const format of ['newc', 'crc'] as const) {
      const link = (name: string, content = ''): Buffer =>
        cpioEntry(format, { name, inode: 7, links: 3 }, content);
      const archive = cpioArchive(format, link('a'), link('b'), link('c', 'content'));
      const found = await succeedWithFile(sandbox(), archive);
      assert.deepEqual([...found.keys()].sort(), ['a', 'b', 'c']);
      for (const name of ['a', 'b', 'c']) assert.equal(sandbox().read(name), 'content');
      assert.equal(fs.statSync(path.join(sandbox().tree, 'a')).nlink, 3);
    }
  });

  it('takes data from the first hard link, or from each', async () => {
    const link = (name: string, content = ''): Buffer =>
      cpioEntry('newc', { name, inode: 7, links: 3 }, content);
    for (const entries of [
      [link('a', 'content'), link('b'), link('c')],
      [link('a', 'content'), link('b', 'content'), link('c', 'content')],
      [link('a'), link('b', 'content'), link('c')],
    ]) {
      await succeedWithFile(sandbox(), cpioArchive('newc', ...entries));
      for (const name of ['a', 'b', 'c']) assert.equal(sandbox().read(name), 'content');
      assert.equal(fs.statSync(path.join(sandbox().tree, 'a')).nlink, 3);
    }
  });

  it('links empty files, also when some of the names are not in the archive', async () => {
    const link = (name: string): Buffer => cpioEntry('newc', { name, inode: 7, links: 5 });
    await succeedWithFile(sandbox(), cpioArchive('newc', link('a'), link('b'), link('c')));
    const { nlink, size } = fs.statSync(path.join(sandbox().tree, 'a'));
    assert.deepEqual({ nlink, size }, { nlink: 3, size: 0 });
  });

  it('keeps files apart whose inode numbers are equal in too few bits', async () => {
    const entries = [
      cpioEntry('odc', { name: 'a', inode: 7, links: 2 }, 'one'),
      cpioEntry('odc', { name: 'b', inode: 7, links: 2 }, 'three'),
    ];
    await succeedWithFile(sandbox(), cpioArchive('odc', ...entries));
    assert.equal(sandbox().read('a') + sandbox().read('b'), 'onethree');
  });

  it('refuses a hard-linked directory', async () => {
    const directory = (name: string): Buffer =>
      cpioEntry('newc', { name, mode: directoryMode, inode: 7, links: 2 });
    const archive = cpioArchive('newc', directory('a'), directory('b'));
    await refuseFile(sandbox(), archive, /directory 'b' is said to be a hard link to 'a'/);
    const asFile = cpioEntry('newc', { name: 'f', inode: 7, links: 2 }, 'x');
    await refuseFile(sandbox(), cpioArchive('newc', directory('a'), asFile), /'f' .* directory 'a'/);
  });

  it('takes a directory twice, and directories that have no numbers', async () => {
    const directory = (name: string, inode: number): Buffer =>
      cpioEntry('newc', { name, mode: directoryMode, inode, links: 2 });
    const archive = cpioArchive('newc', ...[directory('a', 7), directory('./a/', 7)], directory('b', 0));
    await succeedWithFile(sandbox(), Buffer.concat([directory('c', 0), archive]));
    assert.deepEqual(sandbox().names(), ['a/', 'b/', 'c/']);
  });

  it('refuses a wrong checksum', async () => {
    const wrong = cpioEntry('crc', { name: 'a', checksum: 1 }, 'content');
    await refuseFile(sandbox(), cpioArchive('crc', wrong), /'a' does not match its checksum/);
  });

  it('refuses letters where numbers must be', async () => {
    const archive = cpioArchive('newc', cpioEntry('newc', { name: 'a' }, '1'));
    archive.write('zz', 20);
    await refuseFile(sandbox(), archive, /no number/);
  });

  it('refuses more names of links than can be kept in mind', async function () {
    this.timeout(120_000);
    const many = Array.from({ length: 700 }, (_, i) =>
      cpioEntry('newc', { name: `${i}/${'d/'.repeat(30_000)}`, inode: i, links: 2 }),
    );
    await refuseFile(sandbox(), cpioArchive('newc', ...many), /more hard links/);
  });

  it('takes the bytes of names as they are', async () => {
    const latin = Buffer.from('caf\xe9', 'latin1');
    await succeedWithFile(sandbox(), cpioArchive('newc', cpioEntry('newc', { name: latin }, '1')));
    assert.deepEqual(sandbox().names(), ['caf\xe9']);
  });

  it('refuses what exceeds the budget', async () => {
    const archive = cpioArchive('newc', cpioEntry('newc', { name: 'a' }, Buffer.alloc(2000)));
    await refuseFile(sandbox(), archive, /exceed the 1000 bytes/, { maxBytes: 1000 });
  });
});
