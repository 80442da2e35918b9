import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

import { reasonOf, systemErrorCode } from '../error.js';
import { quote } from '../image/quote.js';
import { CommandError } from './command-error.js';

/** A FIFO or a device must not make us wait, nor become our terminal; Node adds O_CLOEXEC. */
export const carefully = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

export interface LocalFile {
  kind: 'file' | 'directory';
  handle: FileHandle;
  /** Bytes; of no meaning for a directory. */
  size: number;
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist; check the spelling',
  ENOTDIR: 'does not exist, as part of its path is a file; check the spelling',
  EACCES: 'cannot be read by you; ask its owner for permission',
  ELOOP: 'is a symbolic link that leads to itself; name the file',
  ENXIO: 'is a socket or a device, and only files and directories can hold an image; name one of those',
};

/** Opens what a user named. Throws CommandError for anything but a regular file or directory that can be read. */
export async function openLocalFile(path: string): Promise<LocalFile> {
  const refuse = (problem: string, cause?: unknown): never => {
    throw new CommandError(`${quote(path)} ${problem}`, { cause });
  };
  let handle: FileHandle;
  try {
    handle = await open(path, carefully);
  } catch (error) {
    return refuse(reasons[systemErrorCode(error) ?? ''] ?? `cannot be opened (${reasonOf(error)})`, error);
  }
  const status = await handle.stat();
  if (status.isFile()) return { kind: 'file', handle, size: status.size };
  if (status.isDirectory()) return { kind: 'directory', handle, size: 0 };
  await handle.close();
  return refuse(
    'is a FIFO, a socket or a device, and only files and directories can hold an image; name one of those',
  );
}
