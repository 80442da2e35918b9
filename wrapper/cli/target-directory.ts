import { spawn } from 'node:child_process';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, realpath, rename, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { addon } from '../addon/addon.js';
import { reasonOf, systemErrorCode } from '../error.js';
import { quote } from '../image/quote.js';
import { CommandError } from './command-error.js';

/**
 * A directory that is there when all of it is there: until `publish` it is a sibling with a name of its own,
 * ".NAME.partial", which is locked against others who make the same.
 */
export class TargetDirectory {
  private constructor(
    /** Absolute. */
    readonly path: string,
    readonly partial: string,
    /** Open on the directory to be filled in, and the holder of its lock. */
    readonly handle: FileHandle,
  ) {}

  /** Throws CommandError if `path` is anything but free, or an empty directory that can be replaced. */
  static async make(path: string, cwd: string): Promise<TargetDirectory> {
    try {
      const target = await checkTarget(resolve(cwd, path), cwd);
      const partial = join(dirname(target), `.${basename(target)}.partial`);
      return new TargetDirectory(target, partial, await takePartial(partial, target));
    } catch (error) {
      throw unusable(path, error);
    }
  }

  /** Gives it its name. */
  async publish(): Promise<void> {
    try {
      await rename(this.partial, this.path);
    } catch (error) {
      throw unusable(this.path, error);
    }
    await this.handle.close();
  }

  /** Removes what is there so far. Not to be interrupted. */
  async discard(): Promise<void> {
    try {
      await removeTree(this.partial);
    } finally {
      await this.handle.close();
    }
  }
}

async function checkTarget(path: string, cwd: string): Promise<string> {
  const parent = await realpath(dirname(path)).catch((error: unknown) => {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    throw new Problem(`${quote(dirname(path))} does not exist; make it first`);
  });
  const status = await statIfThere(path);
  if (status === undefined) {
    const name = join(parent, basename(path));
    if ((await lstat(name).catch(ignoreAbsence)) !== undefined)
      throw new Problem('it is a symbolic link that leads nowhere');
    return name;
  }
  if (!status.isDirectory())
    throw new Problem('there is a file of that name; name a directory that does not exist yet');
  if ((await readdir(path)).length > 0)
    throw new Problem('it is not empty; name a directory that does not exist yet');
  const target = await realpath(path);
  if (target === (await realpath(cwd))) {
    throw new Problem('it is the current directory, which cannot be replaced; name another, such as ./tree');
  }
  if ((await stat(dirname(target))).dev !== status.dev) {
    throw new Problem(
      `something is mounted there, so it cannot be replaced; name a directory in it, such as ${quote(join(path, 'tree'))}`,
    );
  }
  return target;
}

/** Makes the directory, or takes over what somebody who was killed has left. */
async function takePartial(partial: string, target: string): Promise<FileHandle> {
  for (;;) {
    const isNew = await mkdir(partial, { mode: 0o700 }).then(
      () => true,
      (error: unknown) => {
        if (systemErrorCode(error) !== 'EEXIST') throw error;
        return false;
      },
    );
    const handle = await openPartial(partial);
    if (handle === undefined) continue;
    try {
      const lock = tryLock(handle);
      if (lock === 'taken') {
        throw new Problem(`another stowage is unpacking to ${quote(target)} right now; wait for it`);
      }
      const isNamed = await isStillNamed(handle, partial);
      if (isNew && isNamed) return handle;
      if (lock === 'unknown') {
        throw new Problem(`${quote(partial)} is there already; remove it unless another stowage fills it in`);
      }
      // Between mkdir() and flock() somebody may have taken ours for a leftover, or left this one.
      if (isNamed) await removeTree(partial);
      await handle.close();
    } catch (error) {
      await handle.close();
      throw error;
    }
  }
}

async function openPartial(partial: string): Promise<FileHandle | undefined> {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  try {
    return await open(partial, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    const code = systemErrorCode(error) ?? '';
    if (code === 'ENOENT') return undefined;
    if (!['ENOTDIR', 'ELOOP', 'EACCES'].includes(code)) throw error;
    throw new Problem(`${quote(partial)} is in the way; remove it, or name another directory`, {
      cause: error,
    });
  }
}

function tryLock(handle: FileHandle): 'held' | 'taken' | 'unknown' {
  try {
    return addon.lockFile(handle.fd, true) ? 'held' : 'taken';
  } catch (error) {
    // NFS locks no directories.
    if (['EBADF', 'ENOLCK', 'EOPNOTSUPP'].includes(systemErrorCode(error) ?? '')) return 'unknown';
    throw error;
  }
}

async function isStillNamed(handle: FileHandle, path: string): Promise<boolean> {
  const held = await handle.stat();
  const named = await statIfThere(path);
  return named !== undefined && named.ino === held.ino && named.dev === held.dev;
}

/**
 * Removes a tree whose directories may forbid it, and whose paths may be longer than PATH_MAX, which the
 * coreutils manage and Node's fs does not.
 */
async function removeTree(path: string): Promise<void> {
  await run('chmod', ['-Rf', 'u+rwX', '--', path]);
  const { status, words } = await run('rm', ['-rf', '--', path]);
  if (status !== 0) {
    throw new CommandError(`${quote(path)} cannot be removed (${words}); remove it yourself`);
  }
}

function run(program: string, args: readonly string[]): Promise<{ status: number | null; words: string }> {
  // Its own process group, so that the ^C that led here does not end it.
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (words = (words + chunk).slice(0, 500)));
  return new Promise((settle) => {
    child.once('error', (error) => settle({ status: null, words: reasonOf(error) }));
    child.once('close', (status) => settle({ status, words: words.trim() }));
  });
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  return stat(path).catch(ignoreAbsence);
}

function ignoreAbsence(error: unknown): undefined {
  if (systemErrorCode(error) !== 'ENOENT') throw error;
}

/** Follows "the name is unusable: ". */
class Problem extends Error {}

const reasons: Readonly<Record<string, string>> = {
  ENOTEMPTY: 'it is not empty any more; name a directory that does not exist yet',
  EEXIST: 'it is not empty any more; name a directory that does not exist yet',
  EACCES: 'you may not write there; name a directory of your own',
  EROFS: 'the file system there is read-only; name a directory of your own',
  ENOSPC: 'no space is left there; make room or name another place',
  EDQUOT: 'your quota there is used up; make room or name another place',
};

function unusable(path: string, error: unknown): CommandError {
  if (error instanceof CommandError) return error;
  const reason =
    error instanceof Problem ? error.message : (reasons[systemErrorCode(error) ?? ''] ?? reasonOf(error));
  return new CommandError(`cannot unpack to ${quote(path)}: ${reason}`, { cause: error });
}
