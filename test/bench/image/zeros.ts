import { createHash } from 'node:crypto';
import { createGzip, gzipSync } from 'node:zlib';
import { appendFileSync, statSync } from 'node:fs';
import { archive, base256, header } from '../../support/tar-writer.js';
import { sha256Of } from './compress.js';
import type { BenchLayer } from './layout.js';

const memberBytes = 1 << 30;
const members = 10;
const pieceBytes = 1 << 20;
export const zerosBytes = members * memberBytes;

const gzippedZeros = async (): Promise<Buffer> => {
  const gzip = createGzip({ level: 6 });
  const piece = Buffer.alloc(pieceBytes);
  const output: Buffer[] = [];
  gzip.on('data', (chunk: Buffer) => output.push(chunk));
  for (let at = 0; at < memberBytes; at += pieceBytes)
    await new Promise<void>((resolve) => gzip.write(piece, () => resolve()));
  await new Promise<void>((resolve) => gzip.on('end', resolve).end());
  return Buffer.concat(output);
};

/**
 * A layer of 10 MB with one file of 10 GiB in it, all zeros. Its gzip members are alike, so that one needs making.
 */
export const makeZerosLayer = async (directory: string): Promise<BenchLayer> => {
  const path = 'zeros.tar.gz';
  const file = `${directory}/${path}`;
  const member = await gzippedZeros();
  const start = header({ name: 'zeros', rawSize: base256(BigInt(zerosBytes)) });
  const hash = createHash('sha256').update(start);
  appendFileSync(file, gzipSync(start));
  const piece = Buffer.alloc(pieceBytes);
  for (let count = 0; count < members; count++) {
    appendFileSync(file, member);
    for (let at = 0; at < memberBytes; at += pieceBytes) hash.update(piece);
  }
  appendFileSync(file, gzipSync(archive()));
  const diffId = `sha256:${hash.update(archive()).digest('hex')}`;
  return { compression: 'gzip', path, size: statSync(file).size, digest: await sha256Of(file), diffId };
};
