import { execFileSync } from 'node:child_process';
import { lstatSync } from 'node:fs';

/** Paths of the repository's files that match the git patterns, those not yet added included. */
export const sources = (...patterns) =>
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z', '--', ...patterns], {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  })
    .split('\0')
    .filter((path) => path !== '' && lstatSync(path, { throwIfNoEntry: false })?.isFile());

/** Ends the check: prints what was found, one line each, and fails if there was anything. */
export const report = (findings) => {
  for (const finding of findings) console.log(finding);
  process.exitCode = findings.length === 0 ? 0 : 1;
};
