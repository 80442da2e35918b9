import { fsync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

import { addon } from '../addon/addon.js';
import { StowageError, systemErrorCode } from '../error.js';
import { splitDigest } from '../image/digest.js';
import { GrowingFile } from './growing-file.js';
import { syncDirectory } from './sync-directory.js';

const syncDescriptor = promisify(fsync);

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
  const { algorithm } = splitDigest(expected.digest);
  const writer = new addon.DigestWriter(fd, algorithm);
  const file = new GrowingFile(fd, writer, onProgress);
  let size = 0;
  try {
    for await (const chunk of bytes) {
      size += chunk.length;
      if (size > expected.size) {
        throw mismatch(
          expected.digest,
          `it is longer than the ${expected.size} bytes that the manifest promises`,
        );
      }
      await file.append(chunk);
    }
    await file.flush();
  } finally {
    await file.settle();
  }
  if (size !== expected.size) throw mismatch(expected.digest, `it has ${size} bytes, not ${expected.size}`);
  const digest = `${algorithm}:${writer.end()}`;
  if (digest !== expected.digest) throw mismatch(expected.digest, `its bytes have the digest ${digest}`);
  await syncDescriptor(fd);
  publish(fd, path);
  await syncDirectory(dirname(path));
}

function publish(fd: number, path: string): void {
  try {
    addon.linkTemporary(fd, path);
  } catch (error) {
    // Somebody published the same bytes first.
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  }
}

function mismatch(digest: string, problem: string): StowageError {
  return new StowageError(
    'content-mismatch',
    `the registry sent wrong bytes for ${digest}: ${problem}; try again later, and if it stays so push the image again`,
  );
}
