import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

const sources = (): string[] =>
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { encoding: 'utf8' })
    .split('\0')
    .filter((name) => name !== '' && existsSync(name));

const isCurrent = (name: string, copy: string): boolean => {
  const [ours, theirs] = [lstatSync(name), lstatSync(copy, { throwIfNoEntry: false })];
  return theirs?.size === ours.size && Math.abs(theirs.mtimeMs - ours.mtimeMs) < 1;
};

const copyFile = (name: string, copy: string): void => {
  mkdirSync(dirname(copy), { recursive: true });
  copyFileSync(name, copy);
  const { atime, mtime } = lstatSync(name);
  utimesSync(copy, atime, mtime);
};

/**
 * Brings the sources of the working directory to `directory`. What was built there stays, and whatever has not changed is
 * left alone, so that only the rest is built again.
 */
export const updateCheckout = (directory: string): void => {
  const list = `${directory}/build/copied`;
  const before = existsSync(list) ? (JSON.parse(readFileSync(list, 'utf8')) as string[]) : [];
  const now = sources();
  const gone = new Set(before);
  for (const name of now) {
    gone.delete(name);
    if (!isCurrent(name, `${directory}/${name}`)) copyFile(name, `${directory}/${name}`);
  }
  for (const name of gone) rmSync(`${directory}/${name}`, { force: true });
  mkdirSync(dirname(list), { recursive: true });
  writeFileSync(list, JSON.stringify(now));
};
