import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {
  forged,
  makeSquashfs,
  positionOfName,
  positionOfSize,
  superFields,
  uncompressed,
} from '../support/squashfs-image.js';
import {
  assertLinksKept,
  comparable,
  makeSource,
  refuseFile,
  succeedWithFile,
  unpackFile,
} from './root-file.js';
import { eachInSandbox } from './sandbox.js';

describe('stowage-unpack: squashfs', () => {
  const sandbox = eachInSandbox();

  function imageOf(source: string, ...options: string[]): Buffer {
    return makeSquashfs(source, path.join(sandbox().directory, 'image'), options);
  }

  /** A small image in plain bytes: d/ with x/ and y in it, `tail` in a fragment, `blocks` in blocks, `l`. */
  function plainImage(...options: string[]): Buffer {
    const source = path.join(sandbox().directory, 'source');
    fs.mkdirSync(path.join(source, 'dir/sub'), { recursive: true });
    fs.writeFileSync(path.join(source, 'dir/yyy'), '');
    fs.writeFileSync(path.join(source, 'tail'), 't'.repeat(1234));
    fs.writeFileSync(path.join(source, 'whole'), 'w'.repeat(8192));
    fs.symlinkSync('tail', path.join(source, 'zlink'));
    const image = imageOf(source, ...uncompressed, '-b', '4096', ...options);
    fs.rmSync(source, { recursive: true });
    return image;
  }

  for (const compression of ['gzip', 'lzo', 'lz4', 'xz', 'zstd']) {
    it(`unpacks what mksquashfs writes with ${compression}`, async () => {
      const source = makeSource(sandbox());
      const large = Buffer.concat(
        Array.from({ length: 3000 }, (_, i) =>
          Buffer.from(`${(i * 2654435761) % 4294967296} line\n`.repeat(9)),
        ),
      );
      fs.writeFileSync(path.join(source, 'large'), large);
      for (let i = 0; i < 300; i++) fs.writeFileSync(path.join(source, `small${i}`), `${i} `.repeat(i));
      fs.utimesSync(source, 1.2e9, 1.2e9);
      const image = imageOf(source, '-comp', compression, '-b', '64K');
      const expected = comparable(sandbox().list(source));
      fs.rmSync(source, { recursive: true });
      const found = await succeedWithFile(sandbox(), image);
      assert.deepEqual(comparable(found), expected);
      assertLinksKept(sandbox());
      assert.equal(Math.floor(fs.statSync(sandbox().tree).mtimeMs / 1000), 1.2e9);
    });
  }

  it('unpacks images with nothing compressed, without fragments, and with fragments always', async () => {
    const source = makeSource(sandbox());
    fs.writeFileSync(path.join(source, 'odd'), Buffer.alloc(300_001, 7));
    const expected = comparable(sandbox().list(source));
    const images = [
      imageOf(source, ...uncompressed),
      imageOf(source, '-no-fragments'),
      imageOf(source, '-always-use-fragments'),
      imageOf(source, '-no-exports', '-no-xattrs', '-b', '1M'),
    ];
    fs.rmSync(source, { recursive: true });
    for (const image of images)
      assert.deepEqual(comparable(await succeedWithFile(sandbox(), image)), expected);
  });

  it('unpacks directories of thousands of files', async () => {
    const source = path.join(sandbox().directory, 'source');
    fs.mkdirSync(path.join(source, 'many/deeper'), { recursive: true });
    for (let i = 0; i < 2000; i++) fs.writeFileSync(path.join(source, 'many', `file-${i}`), String(i));
    fs.writeFileSync(path.join(source, 'many/deeper/leaf'), 'leaf');
    const image = imageOf(source);
    fs.rmSync(source, { recursive: true });
    const found = await succeedWithFile(sandbox(), image);
    assert.equal(found.size, 2003);
    assert.equal(sandbox().read('many/file-1711'), '1711');
  });

  it('makes holes of blocks that are not stored', async () => {
    const source = path.join(sandbox().directory, 'source');
    fs.mkdirSync(source);
    fs.writeFileSync(path.join(source, 'sparse'), '');
    fs.truncateSync(path.join(source, 'sparse'), 50_000_000);
    fs.appendFileSync(path.join(source, 'sparse'), 'end');
    const image = imageOf(source);
    fs.rmSync(source, { recursive: true });
    await succeedWithFile(sandbox(), image);
    const { size, blocks } = fs.statSync(path.join(sandbox().tree, 'sparse'));
    assert.equal(size, 50_000_003);
    assert.ok(blocks < 1000, `${blocks} blocks`);
    assert.ok(sandbox().read('sparse').endsWith('\0end'));
  });

  it('keeps attributes of users, also long ones, and drops others', async function () {
    const source = path.join(sandbox().directory, 'source');
    fs.mkdirSync(source);
    for (const name of ['a', 'b']) {
      fs.writeFileSync(path.join(source, name), '1');
      for (const [key, value] of [
        ['user.colour', 'green'],
        ['user.long', 'v'.repeat(3000)],
      ] as const)
        if (spawnSync('setfattr', ['-n', key, '-v', value, path.join(source, name)]).status !== 0)
          this.skip();
    }
    spawnSync('setfattr', ['-n', 'trusted.secret', '-v', 'x', path.join(source, 'a')]);
    const image = imageOf(source);
    fs.rmSync(source, { recursive: true });
    await succeedWithFile(sandbox(), image);
    for (const name of ['a', 'b']) {
      const file = path.join(sandbox().tree, name);
      const found = spawnSync('getfattr', ['-d', '-m', '-', '--absolute-names', file], { encoding: 'utf8' });
      const expected = `user.colour="green"\nuser.long="${'v'.repeat(3000)}"`;
      assert.equal(found.stdout.trim(), `# file: ${file}\n${expected}`);
    }
  });

  it('skips devices and FIFOs, with a word', async () => {
    const source = path.join(sandbox().directory, 'source');
    fs.mkdirSync(source);
    assert.equal(spawnSync('mkfifo', [path.join(source, 'fifo')]).status, 0);
    const image = imageOf(source, '-p', 'null c 666 0 0 1 3');
    fs.rmSync(source, { recursive: true });
    const outcome = await unpackFile(sandbox(), image);
    assert.match(outcome.stderr, /^left out 2 devices and FIFOs [^\n]+\n$/);
    assert.deepEqual(sandbox().names(), []);
  });

  it('refuses versions 1 to 3, in both orders of bytes', async () => {
    const image = plainImage();
    for (const major of [1, 2, 3]) {
      const little = forged(image, (bytes) => bytes.writeUInt16LE(major, superFields.major));
      await refuseFile(sandbox(), little, new RegExp(`version ${major}\\.0, .* 4\\.0; make it again`));
      const big = forged(image, (bytes) => {
        bytes.write('sqsh');
        bytes.writeUInt16BE(major, superFields.major);
        bytes.writeUInt16BE(1, superFields.minor);
      });
      await refuseFile(sandbox(), big, new RegExp(`version ${major}\\.1, `));
    }
  });

  it('refuses lzma and unknown compression', async () => {
    const withCompression = (id: number): Buffer =>
      forged(plainImage(), (bytes) => bytes.writeUInt16LE(id, superFields.compression));
    await refuseFile(sandbox(), withCompression(2), /lzma, which Linux does not read/);
    await refuseFile(sandbox(), withCompression(9), /unknown number 9/);
  });

  it('refuses an image that is truncated', async () => {
    const image = plainImage();
    for (const size of [50, 95, 96, 4096, 8000])
      await refuseFile(
        sandbox(),
        image.subarray(0, size),
        /squashfs image is damaged: it (is truncated|ends)/,
      );
  });

  it('refuses a directory that is inside itself, or stands in two places', async () => {
    const image = plainImage();
    const root = image.readBigUInt64LE(superFields.rootInode);
    const loop = forged(image, (bytes) =>
      bytes.writeUInt16LE(Number(root & 0xffffn), positionOfName(bytes, 'sub') - 8),
    );
    await refuseFile(sandbox(), loop, /directory 'dir\/sub' stands in a second place, or inside itself/);
  });

  it('refuses a name that is there twice, or out of order', async () => {
    const twice = forged(plainImage(), (bytes) => bytes.write('sub', positionOfName(bytes, 'yyy')));
    await refuseFile(sandbox(), twice, /directory 'dir' holds the name 'sub' twice, or out of order/);
    const unsorted = forged(plainImage(), (bytes) => bytes.write('aaa', positionOfName(bytes, 'yyy')));
    await refuseFile(sandbox(), unsorted, /holds the name 'aaa' twice, or out of order/);
  });

  it('refuses names with a slash, a NUL byte, or of dots', async () => {
    for (const [name, shown] of [
      ['../', '\\.\\./'],
      ['a/b', 'a/b'],
      ['a\0b', 'a\\\\000b'],
    ] as const) {
      const image = forged(plainImage(), (bytes) => bytes.write(name, positionOfName(bytes, 'yyy')));
      await refuseFile(sandbox(), image, new RegExp(`impossible name '${shown}'`));
    }
    const dots = forged(plainImage(), (bytes) => {
      const position = positionOfName(bytes, 'yyy');
      bytes.write('..', position);
      bytes.writeUInt16LE(1, position - 2);
    });
    await refuseFile(sandbox(), dots, /impossible name '\.\.'/);
  });

  it('refuses a directory whose counts do not fit', async () => {
    const position = (bytes: Buffer): number => positionOfName(bytes, 'sub') - 8 - 12;
    const many = forged(plainImage(), (bytes) => bytes.writeUInt32LE(100, position(bytes)));
    await refuseFile(sandbox(), many, /directory 'dir' ends early/);
    const huge = forged(plainImage(), (bytes) => bytes.writeUInt32LE(0xffffffff, position(bytes)));
    await refuseFile(sandbox(), huge, /counts its names wrongly/);
  });

  it('refuses an entry of another type than its directory says', async () => {
    const image = forged(plainImage(), (bytes) => bytes.writeUInt16LE(1, positionOfName(bytes, 'yyy') - 4));
    await refuseFile(sandbox(), image, /'dir\/yyy' is not of the type/);
  });

  it('refuses fragments out of range', async () => {
    const at = (bytes: Buffer): number => positionOfSize(bytes, 1234);
    const index = forged(plainImage(), (bytes) => bytes.writeUInt32LE(77, at(bytes) - 8));
    await refuseFile(sandbox(), index, /fragment that does not exist/);
    for (const offset of [4000, 0xffffffff]) {
      const beyond = forged(plainImage(), (bytes) => bytes.writeUInt32LE(offset, at(bytes) - 4));
      await refuseFile(sandbox(), beyond, /outside of its fragment/);
    }
    const none = forged(plainImage(), (bytes) => bytes.fill(0xff, superFields.fragmentTable, 88));
    await refuseFile(sandbox(), none, /fragment that does not exist/);
    const far = forged(plainImage(), (bytes) => bytes.writeUInt32LE(0xfffffff0, superFields.fragmentTable));
    await refuseFile(sandbox(), far, /tables lie outside/);
  });

  it('refuses blocks out of range, and of impossible sizes', async () => {
    const at = (bytes: Buffer): number => positionOfSize(bytes, 8192);
    const far = forged(plainImage(), (bytes) => bytes.writeUInt32LE(0xfffffff0, at(bytes) - 12));
    await refuseFile(sandbox(), far, /block lies outside/);
    for (const word of [0x1000fff, 0x1001001, 0x2000001, 0x1000000]) {
      const image = forged(plainImage(), (bytes) => bytes.writeUInt32LE(word, at(bytes) + 4));
      await refuseFile(sandbox(), image, /block (is too short|has an impossible size)/);
    }
  });

  it('refuses tables out of range', async () => {
    for (const field of ['inodeTable', 'directoryTable', 'attributeTable', 'rootInode'] as const)
      for (const value of [0n, 0x7fffffffffffffffn, 0xfffffffffffffff0n]) {
        // At 0 is the super block, or the first inode; whether that is damage depends on what is there.
        if ((field === 'rootInode' || field === 'attributeTable') && value === 0n) continue;
        const image = forged(plainImage(), (bytes) => bytes.writeBigUInt64LE(value, superFields[field]));
        await refuseFile(sandbox(), image, /damaged/);
      }
  });

  it('refuses an EiB of holes by the budget', async () => {
    const source = path.join(sandbox().directory, 'source');
    fs.mkdirSync(source);
    fs.writeFileSync(path.join(source, 'sparse'), '');
    fs.truncateSync(path.join(source, 'sparse'), 999_424);
    const image = imageOf(source, ...uncompressed, '-b', '4096');
    fs.rmSync(source, { recursive: true });
    const bomb = forged(image, (bytes) => bytes.writeBigUInt64LE(1n << 60n, positionOfSize(bytes, 999_424)));
    await refuseFile(sandbox(), bomb, /'sparse' the image's files exceed the 1000000000 bytes/);
  });

  it('refuses more bytes and more files than the budget has', async () => {
    await refuseFile(sandbox(), plainImage(), /exceed the 5000 bytes/, { maxBytes: 5000 });
    await refuseFile(sandbox(), plainImage(), /exceeds the 3 files/, { maxInodes: 3 });
  });

  it('refuses an image with any byte of its metadata changed, or unpacks it inside the tree', async function () {
    this.timeout(120_000);
    const image = plainImage();
    const start = Number(image.readBigUInt64LE(superFields.inodeTable));
    const end = Number(image.readBigUInt64LE(superFields.usedBytes));
    let refused = 0;
    for (let position = start; position < end; position += 5) {
      const outcome = await unpackFile(
        sandbox(),
        forged(image, (bytes) => (bytes[position] = (bytes[position] ?? 0) ^ 0xff)),
      );
      assert.ok(outcome.status === 0 || outcome.status === 1, `${position}: ${outcome.stderr}`);
      assert.doesNotMatch(outcome.stderr, /signal|report it/);
      refused += outcome.status;
    }
    assert.ok(refused > 10, `${refused} refused`);
  });

  it('keeps the image itself for mounting', async () => {
    const image = plainImage();
    await succeedWithFile(sandbox(), image, { more: ['--keep-squashfs'] });
    assert.deepEqual(sandbox().names(), ['image.squashfs']);
    assert.deepEqual(fs.readFileSync(path.join(sandbox().tree, 'image.squashfs')), image);
    await refuseFile(sandbox(), Buffer.alloc(2000, 'x'), /cannot be mounted/, { more: ['--keep-squashfs'] });
    await refuseFile(sandbox(), image.subarray(0, 4096), /truncated/, { more: ['--keep-squashfs'] });
  });

  it('refuses an image without its digest', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    await refuseFile(sandbox(), plainImage(), /does not have the digest/, { digest });
  });
});
