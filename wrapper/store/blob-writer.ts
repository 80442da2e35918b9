import { fchmodSync } from 'node:fs';
import { open } from 'node:fs/promises';

import { addon } from '../addon/addon.js';
import { StowageError, systemErrorCode } from '../error.js';
import { splitDigest } from '../image/digest.js';
import { GrowingFile } from './growing-file.js';

/** A file of this mode is known to be on the disk as a whole: it gets it after that, and before nobody may write to it. */
export const settledMode = 0o400;

/** So that little is left to be waited for when all is written, the disk begins after each of these. */
const syncEveryBytes = 32 * 1024 * 1024;

/**
 * Writes `bytes` to a nameless file, from its beginning, and resolves when all of it is there and what `digest` and
 * `size` promise: on the disk and marked with settledMode, or `later`, see settle. The descriptor may be closed then.
 * Throws `content-mismatch`, or the system's error.
 */
export async function writeBlob(
  fd: number,
  expected: { digest: string; size: number },
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  onProgress: (doneBytes: number) => void,
  onDisk: 'now' | 'later',
): Promise<void> {
  const { algorithm } = splitDigest(expected.digest);
  const writer = new addon.DigestWriter(fd, algorithm);
  const file = new GrowingFile(fd, writer, onProgress, onDisk === 'now' ? syncEveryBytes : Infinity);
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
    if (size !== expected.size) throw mismatch(expected.digest, `it has ${size} bytes, not ${expected.size}`);
    const digest = `${algorithm}:${writer.end()}`;
    if (digest !== expected.digest) throw mismatch(expected.digest, `its bytes have the digest ${digest}`);
    if (onDisk === 'later') return;
    await file.sync();
    fchmodSync(fd, settledMode);
  } finally {
    await file.settle();
  }
}

/** Puts a blob on the disk that was published without, and marks it; one that was removed since needs nothing. */
export async function settle(path: string): Promise<void> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  });
  try {
    await file?.sync();
    await file?.chmod(settledMode);
  } finally {
    await file?.close();
  }
}

/** Gives the file its name, unless somebody published the same bytes first. */
export function publish(fd: number, path: string): void {
  try {
    addon.linkTemporary(fd, path);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  }
}

function mismatch(digest: string, problem: string): StowageError {
  return new StowageError(
    'content-mismatch',
    `the registry sent wrong bytes for ${digest}: ${problem}; try again later, and if it stays so push the image again`,
  );
}
