import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { StowageError, systemErrorCode } from '../error.js';
import { BoundedCalls } from './bounded-calls.js';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;

/** What file systems without hard links answer. */
const withoutLinks = new Set(['EPERM', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV']);

const chunkBytes = 1024 * 1024;
/** Larger ones are no documents of ours. */
const mostTextBytes = 64 * 1024;

/**
 * Files on a file system that other nodes write to as well and that may hang. Symbolic links are never followed,
 * nor is anything opened that could block. Throws the system's errors, and CallHangs.
 */
export class SharedFiles {
  readonly #calls: BoundedCalls;

  constructor(patienceMs: number) {
    this.#calls = new BoundedCalls(patienceMs);
  }

  /** Throws `store-failing` unless it is a directory that belongs to this process's user alone. */
  async checkPrivate(directory: string): Promise<void> {
    const status = await this.#calls.run(() => lstat(directory));
    const ownUid = process.getuid?.() ?? -1;
    if (!status.isDirectory()) throw unfit('it is not a directory');
    if (status.uid !== ownUid)
      throw unfit(
        `it belongs to uid ${status.uid}, and has to belong to uid ${ownUid}, as which stowaged runs`,
      );
    if ((status.mode & 0o077) !== 0)
      throw unfit(
        `others may use it (mode ${(status.mode & 0o777).toString(8)}), and its mode has to be 700`,
      );
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#calls
      .run(() => mkdir(path, { mode: 0o700 }))
      .catch((error: unknown) => {
        if (systemErrorCode(error) !== 'EEXIST') throw error;
      });
    await this.checkPrivate(path);
  }

  /** NFS may remember for a while that a name was not there; to open its directory makes it look again. */
  async refresh(directory: string): Promise<void> {
    const handle = await this.#open(directory, O_RDONLY | O_DIRECTORY);
    await this.#close(handle);
  }

  /** The size of a regular file; undefined if there is none. */
  async sizeOf(path: string): Promise<number | undefined> {
    const status = await ifThere(this.#calls.run(() => lstat(path)));
    return status?.isFile() ? status.size : undefined;
  }

  async mtimeMsOf(path: string): Promise<number | undefined> {
    return (await ifThere(this.#calls.run(() => lstat(path))))?.mtimeMs;
  }

  async list(directory: string): Promise<string[]> {
    return this.#calls.run(() => readdir(directory));
  }

  /** A small file; undefined if there is none. */
  async readText(path: string): Promise<string | undefined> {
    const handle = await ifThere(this.#open(path, O_RDONLY));
    if (!handle) return undefined;
    try {
      const buffer = Buffer.alloc(mostTextBytes);
      const { bytesRead } = await this.#calls.run(() => handle.read(buffer, 0, buffer.length, 0));
      return buffer.toString('latin1', 0, bytesRead);
    } finally {
      await this.#close(handle);
    }
  }

  async *readBytes(path: string): AsyncGenerator<Buffer> {
    const handle = await this.#open(path, O_RDONLY);
    try {
      for (let position = 0; ;) {
        const at = position;
        const buffer = Buffer.allocUnsafe(chunkBytes);
        const { bytesRead } = await this.#calls.run(() => handle.read(buffer, 0, chunkBytes, at));
        if (bytesRead === 0) return;
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await this.#close(handle);
    }
  }

  /** A file that is not there yet (EEXIST), complete and on disk when this returns; removed if it cannot be. */
  async create(path: string, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const handle = await this.#open(path, O_WRONLY | O_CREAT | O_EXCL);
    try {
      try {
        for await (const chunk of bytes) await this.#write(handle, chunk);
        await this.#calls.run(() => handle.sync());
      } finally {
        await this.#close(handle);
      }
    } catch (error) {
      await this.remove(path).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Makes a small file that has all of its content from the moment on that it has its name. Returns false if the
   * name is taken. Where there are no hard links, one that is killed may leave an empty file.
   */
  async createWhole(path: string, text: string): Promise<boolean> {
    const bytes = [Buffer.from(text, 'latin1')];
    const unnamed = join(dirname(path), `new-${randomBytes(16).toString('hex')}`);
    await this.create(unnamed, bytes);
    try {
      await this.#calls.run(() => link(unnamed, path));
      return true;
    } catch (error) {
      const code = systemErrorCode(error) ?? '';
      // NFS says so, too, if it has made the link and its answer got lost.
      if (code === 'EEXIST') return (await this.readText(path)) === text;
      if (!withoutLinks.has(code)) throw error;
    } finally {
      await this.remove(unnamed);
    }
    try {
      await this.create(path, bytes);
      return true;
    } catch (error) {
      if (systemErrorCode(error) === 'EEXIST') return false;
      throw error;
    }
  }

  /** Writes over the beginning of a file if that is `begin`. Returns false if it is not, or not there. */
  async overwrite(path: string, begin: string, text: string): Promise<boolean> {
    const handle = await ifThere(this.#open(path, O_RDWR));
    if (!handle) return false;
    try {
      // The same file that is written then, whatever has its name meanwhile.
      const buffer = Buffer.alloc(begin.length);
      await this.#calls.run(() => handle.read(buffer, 0, buffer.length, 0));
      if (buffer.toString('latin1') !== begin) return false;
      await this.#calls.run(() => handle.write(text, 0, 'latin1'));
      return true;
    } finally {
      // NFS sends what was written now, and others see it.
      await this.#close(handle);
    }
  }

  /** Gives a file a second name; does nothing if that name is taken. */
  async link(path: string, name: string): Promise<void> {
    await this.#calls
      .run(() => link(path, name))
      .catch((error: unknown) => {
        if (systemErrorCode(error) !== 'EEXIST') throw error;
      });
    await this.#syncNames(dirname(name));
  }

  /** Gives a complete file the name under which it is looked for. If that is taken, so be it. */
  async publish(path: string, name: string): Promise<void> {
    try {
      await this.link(path, name);
    } catch (error) {
      if (!withoutLinks.has(systemErrorCode(error) ?? '')) throw error;
      await this.rename(path, name);
      return;
    }
    await this.remove(path);
  }

  /** In one step, over what had that name. Returns false if there was nothing to rename. */
  async rename(path: string, name: string): Promise<boolean> {
    const done = await ifThere(this.#calls.run(async () => rename(path, name).then(() => true)));
    return done ?? false;
  }

  async remove(path: string): Promise<void> {
    await ifThere(this.#calls.run(() => unlink(path)));
  }

  async #syncNames(directory: string): Promise<void> {
    const handle = await this.#open(directory, O_RDONLY | O_DIRECTORY);
    try {
      // Not every file system can; then its server sees to it.
      await this.#calls.run(() => handle.sync().catch(() => undefined));
    } finally {
      await this.#close(handle);
    }
  }

  async #write(handle: FileHandle, chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length;) {
      const from = done;
      done += (await this.#calls.run(() => handle.write(chunk, from, chunk.length - from))).bytesWritten;
    }
  }

  #open(path: string, flags: number): Promise<FileHandle> {
    return this.#calls.run(
      () => open(path, flags | O_NOFOLLOW | O_NONBLOCK, 0o600),
      (handle) => handle.close().catch(() => undefined),
    );
  }

  /** What close(2) says about bytes written is said by sync as well; what hangs is closed when it comes back. */
  async #close(handle: FileHandle): Promise<void> {
    await this.#calls.run(() => handle.close());
  }
}

async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function unfit(problem: string): StowageError {
  return new StowageError('store-failing', problem);
}
