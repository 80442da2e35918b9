/** Tar archives made byte by byte, for those that no well-behaved tool would write. */

const blockBytes = 512;

export interface HeaderFields {
  name?: string | Buffer;
  /** Typeflag; `0` file, `1` hard link, `2` symbolic link, `5` directory, … */
  type?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  size?: number;
  /** Replaces the size field; 12 bytes. */
  rawSize?: Buffer;
  /** Seconds. */
  mtime?: number;
  linkName?: string | Buffer;
  /** `ustar` is POSIX, `gnu` the older GNU format, `v7` has no magic at all. */
  format?: 'ustar' | 'gnu' | 'v7';
  /** Only in ustar. */
  prefix?: string;
  /** Further raw bytes at fixed offsets. */
  patches?: readonly (readonly [offset: number, bytes: Buffer])[];
  badChecksum?: boolean;
}

function octal(value: number, width: number): string {
  return value.toString(8).padStart(width - 1, '0') + '\0';
}

export function header(fields: HeaderFields): Buffer {
  const block = Buffer.alloc(blockBytes);
  const put = (offset: number, width: number, value: string | Buffer): void => {
    Buffer.from(value).copy(block, offset, 0, width);
  };
  put(0, 100, fields.name ?? '');
  put(100, 8, octal(fields.mode ?? 0o644, 8));
  put(108, 8, octal(fields.uid ?? 0, 8));
  put(116, 8, octal(fields.gid ?? 0, 8));
  put(124, 12, fields.rawSize ?? octal(fields.size ?? 0, 12));
  put(136, 12, octal(fields.mtime ?? 1_000_000_000, 12));
  put(156, 1, fields.type ?? '0');
  put(157, 100, fields.linkName ?? '');
  const format = fields.format ?? 'ustar';
  if (format === 'ustar') put(257, 8, 'ustar\x0000');
  if (format === 'gnu') put(257, 8, 'ustar  \0');
  if (fields.prefix !== undefined) put(345, 155, fields.prefix);
  for (const [offset, bytes] of fields.patches ?? []) put(offset, bytes.length, bytes);
  put(148, 8, ' '.repeat(8));
  const sum = block.reduce((total, byte) => total + byte, 0) + (fields.badChecksum === true ? 1 : 0);
  put(148, 8, sum.toString(8).padStart(6, '0') + '\0 ');
  return block;
}

export function padded(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([bytes, Buffer.alloc((blockBytes - (bytes.length % blockBytes)) % blockBytes)]);
}

/** A header with `content` after it; the size is the content's unless `fields` say otherwise. */
export function entry(fields: HeaderFields, content: string | Buffer = ''): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([header({ size: bytes.length, ...fields }), padded(bytes)]);
}

export function file(
  name: string | Buffer,
  content: string | Buffer = '',
  fields: HeaderFields = {},
): Buffer {
  return entry({ name, ...fields }, content);
}

export function directory(name: string | Buffer, fields: HeaderFields = {}): Buffer {
  return entry({ name, type: '5', mode: 0o755, ...fields });
}

export function symlink(name: string, linkName: string, fields: HeaderFields = {}): Buffer {
  return entry({ name, type: '2', linkName, mode: 0o777, ...fields });
}

export function hardLink(name: string, linkName: string, fields: HeaderFields = {}): Buffer {
  return entry({ name, type: '1', linkName, ...fields });
}

/** The value of a PAX record may hold any bytes. */
export type PaxRecord = readonly [key: string, value: string | Buffer];

function paxRecord([key, value]: PaxRecord): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** An extended header for the entry that follows. */
export function pax(...records: PaxRecord[]): Buffer {
  return rawPax(Buffer.concat(records.map(paxRecord)));
}

export function rawPax(body: string | Buffer): Buffer {
  return entry({ name: 'PaxHeaders/x', type: 'x' }, body);
}

/** GNU's way to give the next entry a long name. */
export function gnuLongName(name: string): Buffer {
  return entry({ name: '././@LongLink', type: 'L', format: 'gnu' }, `${name}\0`);
}

/** GNU's way to give the next link a long target. */
export function gnuLongLink(target: string): Buffer {
  return entry({ name: '././@LongLink', type: 'K', format: 'gnu' }, `${target}\0`);
}

/** `value` big-endian in GNU's base 256, as a 12-byte field. */
export function base256(value: bigint): Buffer {
  const field = Buffer.alloc(12);
  for (let i = 11, rest = BigInt.asUintN(96, value); i >= 0; i--, rest >>= 8n)
    field[i] = Number(rest & 0xffn);
  field[0] = (field[0] ?? 0) | 0x80;
  return field;
}

export const endOfArchive = Buffer.alloc(2 * blockBytes);

export function archive(...entries: Buffer[]): Buffer {
  return Buffer.concat([...entries, endOfArchive]);
}
