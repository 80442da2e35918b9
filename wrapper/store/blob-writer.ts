import { fchmodSync } from 'node:fs';

import { addon } from '../addon/addon.js';
import { StowageError, systemErrorCode } from '../error.js';
import { splitDigest } from '../image/digest.js';
import { GrowingFile } from './growing-file.js';

/** A file of this mode is known to be on the disk as a whole: it gets it after that, and before nobody may write to it. */
export const settledMode = 0o400;

/**
 * What of a file the disk may not even have begun with: little where somebody waits for the disk as soon as all is
 * written; otherwise more, as what the disk takes from a processor is missed by the download.
 */
const unsyncedBytes = { awaited: 32 * 1024 * 1024, later: 256 * 1024 * 1024 };

/** A blob that is in its file, though perhaps not on the disk. */
export interface WrittenBlob {
  /** Resolves when it is on the disk, and its file marked with settledMode. Throws the system's error. */
  settle(): Promise<void>;
  /** Resolves when nothing is done to the file any more. */
  idle(): Promise<void>;
}

/**
 * Writes `bytes` to a nameless file, from its beginning, and resolves when all of it is there and what `digest` and
 * `size` promise. `settling` says whether somebody waits for the disk then. The descriptor may be closed after `settle`
 * or `idle`. Throws `content-mismatch`, or the system's error.
 */
export async function writeBlob(
  fd: number,
  expected: { digest: string; size: number },
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  onProgress: (doneBytes: number) => void,
  settling: keyof typeof unsyncedBytes,
): Promise<WrittenBlob> {
  const { algorithm } = splitDigest(expected.digest);
  const writer = new addon.DigestWriter(fd, algorithm);
  const file = new GrowingFile(fd, writer, onProgress, unsyncedBytes[settling]);
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
  } catch (error) {
    await file.settle();
    throw error;
  }
  const settle = async (): Promise<void> => {
    await file.sync();
    fchmodSync(fd, settledMode);
  };
  return { settle, idle: () => file.settle() };
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
