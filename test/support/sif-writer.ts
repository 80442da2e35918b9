/** Writes SIF files, the format of Apptainer and SingularityCE, also ones that neither would write. */

const headerBytes = 128;
const descriptorBytes = 585;
const tableOffset = 4096;

export const fileSystems = { squashfs: 1, ext3: 2, archive: 3, raw: 4, encrypted: 5 };
export const partitionTypes = { system: 1, primarySystem: 2, data: 3, overlay: 4 };
export const dataTypes = { definition: 0x4001, partition: 0x4004, signature: 0x4005, ociBlob: 0x400b };

export interface SifObject {
  content: Buffer;
  /** Default: a partition. */
  type?: number;
  fileSystem?: number;
  part?: number;
  /** "02" is amd64, "04" arm64. */
  architecture?: string;
  /** Instead of where the content is. */
  offset?: bigint;
  /** Instead of the content's. */
  length?: bigint;
}

export interface SifHeader {
  version?: string;
  magic?: string;
  /** Instead of the number of objects. */
  descriptors?: bigint;
  table?: bigint;
}

function writeDescriptor(raw: Buffer, object: SifObject, id: number, offset: number): void {
  raw.writeUInt32LE(object.type ?? dataTypes.partition, 0);
  raw.writeUInt8(1, 4);
  raw.writeUInt32LE(id, 5);
  raw.writeUInt32LE(0xf0000001, 9);
  raw.writeBigUInt64LE(object.offset ?? BigInt(offset), 17);
  raw.writeBigUInt64LE(object.length ?? BigInt(object.content.length), 25);
  raw.write('object', 73);
  raw.writeUInt32LE(object.fileSystem ?? fileSystems.squashfs, 201);
  raw.writeUInt32LE(object.part ?? partitionTypes.primarySystem, 205);
  raw.write(object.architecture ?? '02', 209);
}

export function sif(objects: readonly SifObject[], fields: SifHeader = {}): Buffer {
  const table = Buffer.alloc(objects.length * descriptorBytes);
  const parts: Buffer[] = [];
  let offset = Math.ceil((tableOffset + table.length) / 4096) * 4096;
  const dataOffset = offset;
  objects.forEach((object, index) => {
    const padded = Buffer.alloc(Math.ceil(object.content.length / 4096) * 4096);
    object.content.copy(padded);
    writeDescriptor(table.subarray(index * descriptorBytes), object, index + 1, offset);
    parts.push(padded);
    offset += padded.length;
  });
  const head = Buffer.alloc(dataOffset);
  head.write('#!/usr/bin/env run-singularity\n');
  head.write(fields.magic ?? 'SIF_MAGIC', 32);
  head.write(fields.version ?? '01', 42);
  head.write('02', 45);
  head.writeBigUInt64LE(fields.descriptors ?? BigInt(objects.length), 88);
  head.writeBigUInt64LE(fields.table ?? BigInt(tableOffset), 96);
  head.writeBigUInt64LE(BigInt(table.length), 104);
  head.writeBigUInt64LE(BigInt(dataOffset), 112);
  table.copy(head, tableOffset);
  if (head.length < headerBytes) throw new RangeError('the header does not fit');
  return Buffer.concat([head, ...parts]);
}
