import type { Config } from '../config/config.js';
import type { ProgressLine } from './progress-line.js';
import type { Surroundings } from './surroundings.js';

/** What opening a source takes. */
export interface Tools {
  /** Path of stowage-unpack, which finds out what files are. */
  program: string;
  config: Config;
  surroundings: Surroundings;
  progress: ProgressLine;
}
