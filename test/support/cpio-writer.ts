/** Writes cpio archives entry by entry, also ones that no sane tool would write. */

export type CpioFormat = 'odc' | 'newc' | 'crc' | 'binary' | 'swapped';

export interface CpioFields {
  name: string | Buffer;
  mode?: number;
  inode?: number;
  links?: number;
  mtime?: number;
  /** Instead of the content's. */
  size?: number;
  /** Instead of the name's with its NUL. */
  nameSize?: number;
  /** Instead of the right one; in crc only. */
  checksum?: number;
}

const alignments = { odc: 1, newc: 4, crc: 4, binary: 2, swapped: 2 };
let lastInode = 1000;

function padded(bytes: Buffer, alignment: number): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((alignment - (bytes.length % alignment)) % alignment)]);
}

function words(format: 'binary' | 'swapped', values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, index) =>
    format === 'binary'
      ? bytes.writeUInt16LE(value & 0xffff, index * 2)
      : bytes.writeUInt16BE(value & 0xffff, index * 2),
  );
  return bytes;
}

function header(format: CpioFormat, fields: CpioFields, content: Buffer, nameBytes: number): Buffer {
  const size = fields.size ?? content.length;
  const nameSize = fields.nameSize ?? nameBytes;
  const inode = fields.inode ?? lastInode++;
  const mode = fields.mode ?? 0o100644;
  const links = fields.links ?? 1;
  const mtime = fields.mtime ?? 1_000_000_000;
  if (format === 'odc') {
    const octal = (value: number, width: number): string => value.toString(8).padStart(width, '0');
    const small = [1, inode, mode, 0, 0, links, 0].map((value) => octal(value, 6)).join('');
    return Buffer.from(`070707${small}${octal(mtime, 11)}${octal(nameSize, 6)}${octal(size, 11)}`);
  }
  if (format === 'newc' || format === 'crc') {
    const sum = content.reduce((total, byte) => total + byte, 0) % 2 ** 32;
    const checksum = format === 'crc' ? (fields.checksum ?? sum) : 0;
    const values = [inode, mode, 0, 0, links, mtime, size, 8, 1, 0, 0, nameSize, checksum];
    const text = values.map((value) => value.toString(16).padStart(8, '0')).join('');
    return Buffer.from((format === 'crc' ? '070702' : '070701') + text);
  }
  const time = [mtime >>> 16, mtime];
  return words(format, [0o070707, 1, inode, mode, 0, 0, links, 0, ...time, nameSize, size >>> 16, size]);
}

/** One entry; a regular file unless `mode` says otherwise. */
export function cpioEntry(format: CpioFormat, fields: CpioFields, content: string | Buffer = ''): Buffer {
  const bytes = Buffer.from(content);
  const name = Buffer.concat([Buffer.from(fields.name), Buffer.alloc(1)]);
  const alignment = alignments[format];
  return Buffer.concat([
    padded(Buffer.concat([header(format, fields, bytes, name.length), name]), alignment),
    padded(bytes, alignment),
  ]);
}

export function cpioTrailer(format: CpioFormat): Buffer {
  return cpioEntry(format, { name: 'TRAILER!!!', mode: 0, inode: 0, mtime: 0 });
}

export function cpioArchive(format: CpioFormat, ...entries: Buffer[]): Buffer {
  return Buffer.concat([...entries, cpioTrailer(format)]);
}
