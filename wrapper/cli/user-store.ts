import { lstat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';

import { reasonOf, StowageError, systemErrorCode } from '../error.js';
import { BlobStore } from '../store/blob-store.js';
import { storeError } from '../store/error.js';
import type { Surroundings } from './surroundings.js';

/** Where a user's own downloads are kept. XDG Base Directory Specification: relative values do not count. */
function userStoreDirectory({ env, home }: Pick<Surroundings, 'env' | 'home'>): string {
  const cache = env['XDG_CACHE_HOME'] ?? '';
  return join(isAbsolute(cache) ? cache : join(home, '.cache'), 'stowage');
}

/** Opens the user's own store, which several programs of the user may use at once. */
export async function openUserStore(surroundings: Surroundings): Promise<BlobStore> {
  const directory = userStoreDirectory(surroundings);
  try {
    await refuseForeign(directory, surroundings.uid);
    const noLimits = { maxBytes: 0, maxBlobs: 0, maxAgeMs: 0, minFreeBytes: 0, shared: undefined };
    return await BlobStore.open({ directory, ...noLimits }, 'shared');
  } catch (error) {
    throw explainStore(error instanceof StowageError ? error : storeError(directory, error), directory);
  }
}

/** Documents are not verified again when they are read, so nobody else may write there. */
async function refuseForeign(directory: string, uid: number): Promise<void> {
  const status = await lstat(directory).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (status === undefined || (status.isDirectory() && status.uid === uid && (status.mode & 0o022) === 0)) {
    return;
  }
  throw new StowageError('store-failing', 'it is not a directory that only you may write to');
}

/** A failure of the user's own store in words for its owner; anything else as it is. */
export function explainStore(error: unknown, directory: string): unknown {
  const remedy = 'or set XDG_CACHE_HOME to a directory on another file system';
  if (!(error instanceof StowageError)) return error;
  const { code } = error;
  if (code === 'store-full') {
    return new StowageError(
      'store-full',
      `no space is left for downloads in ${directory}: remove that directory, ${remedy}`,
      { cause: error },
    );
  }
  if (code !== 'store-failing' && code !== 'start-refused') return error;
  if (error.message.includes('O_TMPFILE')) {
    return new StowageError(
      'store-failing',
      `downloads cannot be kept in ${directory}, which is on a file system without O_TMPFILE, as NFS is: ` +
        'set XDG_CACHE_HOME to a directory on a local disk or in /dev/shm',
      { cause: error },
    );
  }
  return new StowageError(
    'store-failing',
    `downloads cannot be kept in ${directory} (${reasonOf(error.cause ?? error)}): mend that directory, ${remedy}`,
    { cause: error },
  );
}
