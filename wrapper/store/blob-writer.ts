import { fsync, write } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

import { addon } from '../addon/addon.js';
import { StowageError, systemErrorCode } from '../error.js';
import { hashFor } from '../image/digest.js';

const syncDescriptor = promisify(fsync);
const writeDescriptor = promisify(write);

/**
 * Writes `bytes` to a nameless file, from its beginning, and gives it the name `path` when all of it is there,
 * on disk, and what `digest` and `size` promise. Throws `content-mismatch`, or the system's error.
 */
export async function writeBlob(
  fd: number,
  path: string,
  expected: { digest: string; size: number },
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  onProgress: (doneBytes: number) => void,
): Promise<void> {
  const hash = hashFor(expected.digest);
  let size = 0;
  for await (const chunk of bytes) {
    const offset = size;
    size += chunk.length;
    if (size > expected.size) {
      throw mismatch(
        expected.digest,
        `it is longer than the ${expected.size} bytes that the manifest promises`,
      );
    }
    hash.update(chunk);
    await writeAll(fd, chunk, offset);
    onProgress(size);
  }
  if (size !== expected.size) throw mismatch(expected.digest, `it has ${size} bytes, not ${expected.size}`);
  const digest = `${expected.digest.slice(0, expected.digest.indexOf(':'))}:${hash.digest('hex')}`;
  if (digest !== expected.digest) throw mismatch(expected.digest, `its bytes have the digest ${digest}`);
  await syncDescriptor(fd);
  publish(fd, path);
  await syncDirectory(dirname(path));
}

async function writeAll(fd: number, chunk: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < chunk.length;) {
    const { bytesWritten } = await writeDescriptor(fd, chunk, done, chunk.length - done, position + done);
    done += bytesWritten;
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
