import { open } from 'node:fs/promises';

/** Makes the names in a directory last, whatever happens next. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
