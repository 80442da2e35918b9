import { close, fsync, write } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

import { addon } from '../addon/addon.js';
import { StowageError, systemErrorCode } from '../error.js';
import { hashFor } from '../image/digest.js';

const closeDescriptor = promisify(close);
const syncDescriptor = promisify(fsync);
const writeDescriptor = promisify(write);

/**
 * Writes `bytes` to `path` so that the name appears only when all of it is there, on disk, and what
 * `digest` and `size` promise. Until then the file has no name: whatever happens, nothing is left over.
 * Throws `content-mismatch`, or the system's error.
 */
export async function writeBlob(
  path: string,
  expected: { digest: string; size: number },
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  onProgress: (doneBytes: number) => void,
): Promise<void> {
  const fd = addon.openTemporary(dirname(path));
  try {
    const hash = hashFor(expected.digest);
    let size = 0;
    for await (const chunk of bytes) {
      size += chunk.length;
      if (size > expected.size) {
        throw mismatch(
          expected.digest,
          `it is longer than the ${expected.size} bytes that the manifest promises`,
        );
      }
      hash.update(chunk);
      await writeAll(fd, chunk);
      onProgress(size);
    }
    if (size !== expected.size) throw mismatch(expected.digest, `it has ${size} bytes, not ${expected.size}`);
    const digest = `${expected.digest.slice(0, expected.digest.indexOf(':'))}:${hash.digest('hex')}`;
    if (digest !== expected.digest) throw mismatch(expected.digest, `its bytes have the digest ${digest}`);
    await syncDescriptor(fd);
    publish(fd, path);
    await syncDirectory(dirname(path));
  } finally {
    await closeDescriptor(fd);
  }
}

async function writeAll(fd: number, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.length;) {
    const { bytesWritten } = await writeDescriptor(fd, chunk, offset, chunk.length - offset, null);
    offset += bytesWritten;
  }
}

function publish(fd: number, path: string): void {
  try {
    addon.linkTemporary(fd, path);
  } catch (error) {
    // Somebody published the same bytes first.
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function mismatch(digest: string, problem: string): StowageError {
  return new StowageError(
    'content-mismatch',
    `the registry sent wrong bytes for ${digest}: ${problem}; try again later, and if it stays so push the image again`,
  );
}
