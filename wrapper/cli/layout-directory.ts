import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

import { reasonOf, systemErrorCode } from '../error.js';
import { carefully } from './local-file.js';

/** A file inside a layout cannot be used; `message` follows the file's name in a sentence. */
export class MemberProblem extends Error {}

/**
 * Opens a regular file below an open directory without following any symbolic link. `name` is relative and
 * clean. Throws MemberProblem.
 */
export async function openBeneath(
  directory: FileHandle,
  name: string,
): Promise<{ handle: FileHandle; size: number }> {
  const parts = name.split('/');
  const last = parts.pop() ?? '';
  const opened: FileHandle[] = [];
  try {
    let parent = directory;
    for (const part of parts) {
      parent = await openAt(parent, part, carefully | constants.O_DIRECTORY);
      opened.push(parent);
    }
    const handle = await openAt(parent, last, carefully);
    const status = await handle.stat();
    if (status.isFile()) return { handle, size: status.size };
    await handle.close();
    throw new MemberProblem('is not a regular file');
  } finally {
    await Promise.all(opened.map((handle) => handle.close()));
  }
}

/** openat(2) by way of proc_pid_fd(5), as Node has none: the last component is the only one to be resolved. */
async function openAt(directory: FileHandle, name: string, flags: number): Promise<FileHandle> {
  if (name === '' || name === '.' || name === '..') throw new MemberProblem('has no proper name');
  try {
    return await open(`/proc/self/fd/${directory.fd}/${name}`, flags | constants.O_NOFOLLOW);
  } catch (error) {
    const reasons: Record<string, string> = {
      ENOENT: 'is missing',
      ELOOP: 'is a symbolic link',
      ENOTDIR: 'lies behind a file or a symbolic link',
      ENXIO: 'is not a regular file',
      EACCES: 'cannot be read by you',
    };
    throw new MemberProblem(
      reasons[systemErrorCode(error) ?? ''] ?? `cannot be opened (${reasonOf(error)})`,
      {
        cause: error,
      },
    );
  }
}
