import type { Surroundings } from './surroundings.js';

/** One thing that `stowage` can do. */
export interface Command {
  /** What stands after `stowage` on the command line. */
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What --help prints, to its last line feed. */
  readonly usage: string;
  /** Throws UsageError for wrong arguments, StowageError or CommandError for what cannot be done. */
  run(args: readonly string[], surroundings: Surroundings): Promise<void>;
}
