import { constants, type BigIntStats } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { reasonOf, systemErrorCode } from '../error.js';
import { SpecProblem } from './spec-problem.js';

const mostBytes = 4 * 1024 ** 2;
const mostFiles = 1000;

/**
 * Paths of the specifications in a directory, sorted by name; none if there is no such directory. Throws
 * SpecProblem.
 */
export async function listSpecs(directory: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw new SpecProblem(directory, undefined, `cannot be listed (${reasonOf(error)})`);
  }
  const specs = names.filter((name) => /^[^.].*\.(?:json|yaml)$/.test(name)).sort();
  if (specs.length > mostFiles)
    throw new SpecProblem(directory, undefined, `holds more than ${mostFiles} specifications`);
  return specs.map((name) => join(directory, name));
}

/** Differs when the file has changed. Throws SpecProblem. */
export async function signatureOf(path: string): Promise<string> {
  try {
    return signature(await stat(path, { bigint: true }));
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Never waits for a FIFO or device. Throws SpecProblem. */
export async function readSpecFile(path: string): Promise<{ content: string; signature: string }> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const info = await file.stat({ bigint: true });
    if (!info.isFile()) throw new SpecProblem(path, undefined, 'is not a regular file');
    if (info.size > mostBytes) throw new SpecProblem(path, undefined, `is larger than ${mostBytes} bytes`);
    const buffer = Buffer.alloc(Number(info.size));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return { content: buffer.toString('utf8', 0, bytesRead), signature: signature(info) };
  } catch (error) {
    throw error instanceof SpecProblem ? error : unreadable(path, error);
  } finally {
    await file?.close();
  }
}

function signature({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}

function unreadable(path: string, error: unknown): SpecProblem {
  return new SpecProblem(path, undefined, `cannot be read (${reasonOf(error)})`);
}
