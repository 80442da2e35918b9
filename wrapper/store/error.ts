import { reasonOf, StowageError, systemErrorCode } from '../error.js';

/** Turns a failed system call on the store into a sentence. */
export function storeError(directory: string, error: unknown): StowageError {
  if (error instanceof StowageError) return error;
  const code = systemErrorCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new StowageError(
      'store-full',
      `the image store ${directory} of this node has no space left; ask the administrators to make room, or use a smaller image`,
      { cause: error },
    );
  }
  return new StowageError(
    'store-failing',
    `the image store ${directory} of this node cannot be used (${reasonOf(error)}); tell the administrators`,
    { cause: error },
  );
}
