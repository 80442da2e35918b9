import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, createReadStream, openSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Writable } from 'node:stream';

export type Compression = 'gzip' | 'zstd';

/** As `docker build` and BuildKit compress, by default. */
const compressors: Record<Compression, readonly [string, ...string[]]> = {
  gzip: ['gzip', '-6', '--no-name', '--stdout'],
  zstd: ['zstd', '-3', '--quiet', '--stdout'],
};

export const compressions = Object.keys(compressors) as Compression[];

export const sha256Of = async (file: string): Promise<string> => {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return `sha256:${hash.digest('hex')}`;
};

const startCompressor = (compression: Compression, output: string, signal: AbortSignal) => {
  const [program, ...args] = compressors[compression];
  const fd = openSync(output, 'wx', 0o644);
  const child = spawn(program, args, { stdio: ['pipe', fd, 'inherit'], signal });
  closeSync(fd);
  assert.ok(child.stdin);
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${program} ended with status ${code} while making the image`));
    });
  });
  // Waited for below, perhaps only after it has failed.
  ended.catch(() => undefined);
  // A compressor that died says so by its status.
  child.stdin.on('error', () => undefined);
  return { input: child.stdin, ended };
};

const write = async (input: Writable, piece: Buffer, ended: Promise<void>): Promise<void> => {
  if (!input.write(piece)) await Promise.race([once(input, 'drain'), ended]);
};

/** Compresses the stream in each way into `${output}.gzip` and so on; resolves to the sha256 of the stream. */
export const compress = async (
  stream: Iterable<Buffer>,
  output: string,
  signal: AbortSignal,
): Promise<string> => {
  const hash = createHash('sha256');
  const compressing = compressions.map((kind) => startCompressor(kind, `${output}.${kind}`, signal));
  for (const piece of stream) {
    hash.update(piece);
    await Promise.all(compressing.map(({ input, ended }) => write(input, piece, ended)));
  }
  for (const { input } of compressing) input.end();
  await Promise.all(compressing.map(({ ended }) => ended));
  return `sha256:${hash.digest('hex')}`;
};
