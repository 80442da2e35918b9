import type { FileHandle } from 'node:fs/promises';

import { StowageError } from '../error.js';
import type { LocalFiles } from '../image/local-files.js';
import { quote } from '../image/quote.js';
import type { Member } from './identify.js';
import { MemberProblem, openBeneath } from './layout-directory.js';

/** A stretch of an open file. */
export interface Extent extends Member {
  fd: number;
}

/** The files that an image in the user's own files consists of. */
export interface ImageFiles extends LocalFiles {
  /** A file as a stretch of something that is open until `close`. Throws StowageError saying why not. */
  extent(name: string): Promise<Extent>;
  close(): Promise<void>;
}

/** Files below a directory. Closes `directory` in the end. */
export function filesOfDirectory(directory: FileHandle, image: string): ImageFiles {
  const opened: FileHandle[] = [];
  const extent = async (name: string): Promise<Extent> => {
    try {
      const { handle, size } = await openBeneath(directory, name);
      opened.push(handle);
      return { fd: handle.fd, offset: 0, size };
    } catch (error) {
      throw error instanceof MemberProblem ? refusal(image, name, error.message) : error;
    }
  };
  const read = async (name: string, maxBytes: number): Promise<Uint8Array> => {
    await extent(name);
    const handle = opened.pop() as FileHandle;
    try {
      return await readStretch(handle, 0, (await handle.stat()).size, maxBytes, image, name);
    } finally {
      await handle.close();
    }
  };
  const close = async (): Promise<void> => {
    await Promise.all([directory, ...opened].map((handle) => handle.close()));
  };
  return { extent, read, close };
}

/** Files in an archive. Closes `archive` in the end. */
export function filesOfArchive(
  archive: FileHandle,
  members: ReadonlyMap<string, Member>,
  image: string,
): ImageFiles {
  const extent = async (name: string): Promise<Extent> => {
    const member = members.get(name);
    if (member === undefined) throw refusal(image, name, 'is missing');
    return { fd: archive.fd, ...member };
  };
  const read = async (name: string, maxBytes: number): Promise<Uint8Array> => {
    const { offset, size } = await extent(name);
    return readStretch(archive, offset, size, maxBytes, image, name);
  };
  return { extent, read, close: () => archive.close() };
}

async function readStretch(
  file: FileHandle,
  offset: number,
  size: number,
  maxBytes: number,
  image: string,
  name: string,
): Promise<Uint8Array> {
  if (size > maxBytes) throw refusal(image, name, `has ${size} bytes, and ${maxBytes} are the most`);
  const bytes = Buffer.alloc(size);
  for (let done = 0; done < size;) {
    const { bytesRead } = await file.read(bytes, done, size - done, offset + done);
    if (bytesRead === 0) throw refusal(image, name, 'ends too early');
    done += bytesRead;
  }
  return bytes;
}

function refusal(image: string, name: string, problem: string): StowageError {
  return new StowageError(
    'image-malformed',
    `image ${image} is not complete: its file ${quote(name)} ${problem}; write it again with the tool that made it`,
  );
}
