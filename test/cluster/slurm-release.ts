import { execFileSync } from 'node:child_process';
import { ClusterError } from './error.js';

const [major, minor] = ((): [number, number] => {
  const text = execFileSync('slurmd', ['-V'], { encoding: 'utf8' });
  const found = /(\d+)\.(\d+)/.exec(text);
  if (!found) throw new ClusterError(`slurmd -V does not say a version: ${text.trim()}`);
  return [Number(found[1]), Number(found[2])];
})();

const since = (wantedMajor: number, wantedMinor: number): boolean =>
  major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);

/** What the tests expect of the Slurm that is installed, where releases differ. */
export const slurm = {
  /** Ranks enter their container when they execute their program: TaskProlog has run on the host by then. */
  entersAtExec: since(23, 11),
} as const;
