import type { FileHandle } from 'node:fs/promises';

import { CommandError } from './command-error.js';
import { isDigest } from '../image/digest.js';
import { firstDescriptor, runUnpacker } from './unpacker.js';

/** Where a file of an archive stands in it, in bytes. */
export interface Member {
  offset: number;
  size: number;
}

/** A root file system in one file, or an archive with an image in it. */
export type Identity =
  | { kind: 'archive'; members: ReadonlyMap<string, Member> }
  | { kind: 'tar' | 'cpio'; digest: string; size: number }
  | { kind: 'squashfs'; digest: string; size: number; squashfs: Member }
  | { kind: 'sif'; digest: string; size: number; squashfs: Member; architecture: string };

/** Has stowage-unpack, confined, find out what a file is. Throws CommandError if it is nothing to run. */
export async function identify(
  program: string,
  file: FileHandle,
  what: string,
  onProgress: (done: number, total: number) => void,
  signal: AbortSignal,
): Promise<Identity> {
  const { stdout } = await runUnpacker(program, {
    args: ['--identify', String(firstDescriptor)],
    descriptors: [file.fd],
    what,
    onProgress: (_, done, total) => onProgress(done, total),
    signal,
  });
  return parseIdentity(stdout.toString('utf8'));
}

/** Reads the records of `stowage-unpack --identify`: "KEY=VALUE", each ended by a NUL. */
export function parseIdentity(text: string): Identity {
  const fields = new Map<string, string>();
  const members = new Map<string, Member>();
  for (const record of text.split('\0').slice(0, -1)) {
    const equals = record.indexOf('=');
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (key !== 'member') fields.set(key, value);
    else {
      const [, offset, size, name] = /^(\d+) (\d+) (.+)$/s.exec(value) ?? [];
      if (name === undefined) throw misfit();
      members.set(name, { offset: Number(offset), size: Number(size) });
    }
  }
  const number = (key: string): number => {
    const value = fields.get(key) ?? '';
    if (!/^\d+$/.test(value)) throw misfit();
    return Number(value);
  };
  const kind = fields.get('kind');
  if (kind === 'archive') return { kind, members };
  const digest = fields.get('digest') ?? '';
  if (!isDigest(digest)) throw misfit();
  const whole = { digest, size: number('size') };
  if (kind === 'tar' || kind === 'cpio') return { kind, ...whole };
  if (kind !== 'squashfs' && kind !== 'sif') throw misfit();
  const squashfs = { offset: number('offset'), size: number('length') };
  if (kind === 'squashfs') return { kind, ...whole, squashfs };
  return { kind, ...whole, squashfs, architecture: fields.get('architecture') ?? '' };
}

function misfit(): CommandError {
  return new CommandError(
    'stowage-unpack said what stowage does not understand; install both from one release',
  );
}
