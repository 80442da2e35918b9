/** Makes squashfs images with mksquashfs, and looks into them far enough to forge them. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

/** An image of `source`; the times of mksquashfs's own are fixed. */
export function makeSquashfs(source: string, file: string, options: readonly string[] = []): Buffer {
  execFileSync(
    'mksquashfs',
    [source, file, '-noappend', '-quiet', '-no-progress', '-processors', '1', ...options],
    { stdio: 'ignore' },
  );
  const image = fs.readFileSync(file);
  fs.unlinkSync(file);
  return image;
}

/** So that what is to be forged stands there in plain bytes. */
export const uncompressed = ['-noI', '-noD', '-noF', '-noX'];

export const superFields = {
  blockSize: 12,
  fragments: 16,
  compression: 20,
  blockLog: 22,
  major: 28,
  minor: 30,
  rootInode: 32,
  usedBytes: 40,
  attributeTable: 56,
  inodeTable: 64,
  directoryTable: 72,
  fragmentTable: 80,
};

export function forged(image: Buffer, change: (image: Buffer) => void): Buffer {
  const copy = Buffer.from(image);
  change(copy);
  return copy;
}

/** Where `name` stands in the table of directories; its entry begins eight bytes before. */
export function positionOfName(image: Buffer, name: string): number {
  const start = Number(image.readBigUInt64LE(superFields.directoryTable));
  const length = Buffer.alloc(2);
  length.writeUInt16LE(name.length - 1);
  const found = image.indexOf(Buffer.concat([length, Buffer.from(name)]), start);
  if (found < 0) throw new Error(`no entry ${name}`);
  return found + 2;
}

/** Where the size of the short file inode of `size` bytes stands; its other fields are before it. */
export function positionOfSize(image: Buffer, size: number): number {
  const start = Number(image.readBigUInt64LE(superFields.inodeTable));
  const wanted = Buffer.alloc(4);
  wanted.writeUInt32LE(size);
  const found = image.indexOf(wanted, start);
  if (found < 0) throw new Error(`no file of ${size} bytes`);
  return found;
}
