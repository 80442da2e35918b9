import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync } from 'node:fs';
import { ordinaryUser } from './command.js';

export interface Content {
  readonly entries: number;
  /** The lengths of all files, by name. */
  readonly bytes: number;
}

/** An empty directory of the ordinary user, whatever was there before. */
export const freshDirectory = (path: string): string => {
  // Not fs.rm, which takes longer than unpacking.
  execFileSync('rm', ['-rf', '--', path]);
  mkdirSync(path, { mode: 0o700 });
  chownSync(path, ordinaryUser.uid, ordinaryUser.gid);
  return path;
};

/** What is below the directory. */
export const contentBelow = (path: string): Content => {
  const listed = execFileSync('find', [path, '-mindepth', '1', '-printf', '%y %s\n'], {
    encoding: 'latin1',
    maxBuffer: 64 << 20,
  });
  const lines = listed.split('\n').filter((line) => line !== '');
  const files = lines.filter((line) => line.startsWith('f '));
  return {
    entries: lines.length,
    bytes: files.reduce((total, line) => total + Number(line.slice(2)), 0),
  };
};

/** Throws unless all of it is there. */
export const checkComplete = (path: string, { entries, bytes }: Content, who: string): void => {
  const found = contentBelow(path);
  if (found.entries !== entries || found.bytes !== bytes)
    throw new Error(
      `${who} left ${found.entries} entries of ${found.bytes} bytes, not ${entries} of ${bytes}; its time means nothing`,
    );
};
