import { CommandError } from './command-error.js';

/**
 * Does `work` while `download` brings what it reads. If the download fails, the work's signal is aborted and
 * the download's error is thrown; it is also the one to tell why bytes are wrong, so that the end of it is
 * awaited if the work fails for that. Any other failure of the work is thrown at once.
 */
export async function whileDownloading<Result>(
  download: Promise<unknown>,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const failed = new AbortController();
  download.catch((error: unknown) => failed.abort(error));
  try {
    const result = await work(AbortSignal.any([signal, failed.signal]));
    await download;
    return result;
  } catch (error) {
    if (doubtsBytes(error)) await download;
    throw error;
  }
}

/** stowage-unpack's words, blob_reader.cc. */
function doubtsBytes(error: unknown): boolean {
  return error instanceof CommandError && error.message.includes('does not match its digest');
}
