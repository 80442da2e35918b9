import type { FileHandle } from 'node:fs/promises';

const magics: readonly { name: string; bytes: Buffer }[] = [
  { name: 'gzip', bytes: Buffer.from('1f8b', 'hex') },
  { name: 'bzip2', bytes: Buffer.from('BZh') },
  { name: 'xz', bytes: Buffer.from('fd377a585a00', 'hex') },
  { name: 'zstd', bytes: Buffer.from('28b52ffd', 'hex') },
];

/** The compression of a file as its first bytes tell; null if it has none. */
export async function compressionOf(file: FileHandle): Promise<string | null> {
  const start = await readStart(file, 0, 8);
  return magics.find(({ bytes }) => start.subarray(0, bytes.length).equals(bytes))?.name ?? null;
}

/** From the superblock of a squashfs image; null for what is not known here. */
export interface SquashfsFacts {
  compression: string | null;
  /** Bytes. */
  block_size: number | null;
  /** When mksquashfs ran, RFC 3339. */
  created: string | null;
}

// Linux, fs/squashfs/squashfs_fs.h: struct squashfs_super_block, and the numbers of the compressors.
const superblockBytes = 96;
const magic = 0x73717368;
const modificationTimeAt = 8;
const blockSizeAt = 12;
const compressorAt = 20;
const compressors = [undefined, 'gzip', 'lzma', 'lzo', 'xz', 'lz4', 'zstd'];

export async function squashfsFacts(file: FileHandle, offset: number): Promise<SquashfsFacts> {
  const block = await readStart(file, offset, superblockBytes);
  if (block.length < superblockBytes || block.readUInt32LE(0) !== magic) {
    return { compression: null, block_size: null, created: null };
  }
  return {
    compression: compressors[block.readUInt16LE(compressorAt)] ?? null,
    block_size: block.readUInt32LE(blockSizeAt),
    created: new Date(block.readUInt32LE(modificationTimeAt) * 1000).toISOString(),
  };
}

/** Up to `length` bytes; fewer where the file ends. */
async function readStart(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, offset);
  return bytes.subarray(0, bytesRead);
}
