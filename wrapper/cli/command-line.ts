import { nearestName } from '../config/nearest-name.js';
import { reasonOf, StowageError } from '../error.js';
import { escapeControls, quote } from '../image/quote.js';
import { release } from '../package-root.js';
import type { Command } from './command.js';
import { CommandError } from './command-error.js';
import { environments } from './environments.js';
import { images } from './images.js';
import { inspect } from './inspect.js';
import { Interruption } from './interruption.js';
import { prune } from './prune.js';
import { pull } from './pull.js';
import { status } from './status.js';
import type { Surroundings } from './surroundings.js';
import { unpack } from './unpack.js';
import { UsageError } from './usage-error.js';

const commands: readonly Command[] = [unpack, inspect, pull, images, environments, prune, status];

const usage = `usage: stowage COMMAND [ARGUMENT...]

Works with container images as the user who calls it. unpack, inspect and environments need no daemon; the others
ask the stowaged of this node.

${commands.map(({ name, summary }) => `  ${name.padEnd(14)}${summary}\n`).join('')}
  --version   say which release this is, and exit
  --help      say how it is called, and exit; also after a command
`;

const exitFailed = 1;
const exitUsage = 2;

/** Does what the arguments say and returns the exit status. Whatever fails is one line on `stderr`. */
export async function runCommandLine(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { stderr } = surroundings;
  try {
    await dispatch(args, surroundings);
    return 0;
  } catch (error) {
    if (error instanceof Interruption) return error.exitStatus;
    if (error instanceof UsageError) {
      stderr.write(`stowage: ${error.message}\n`);
      return exitUsage;
    }
    const isExpected = error instanceof StowageError || error instanceof CommandError;
    // The stack of a defect is for whoever mends it.
    const text = error instanceof Error && !isExpected ? error.stack : escapeControls(reasonOf(error));
    stderr.write(`stowage: ${text}\n`);
    return exitFailed;
  }
}

async function dispatch(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const [first, ...rest] = args;
  if (first === '--help') {
    surroundings.stdout.write(usage);
  } else if (first === '--version') {
    surroundings.stdout.write(`stowage ${release}\n`);
  } else {
    const command = find(first);
    if (rest.slice(0, until(rest, '--')).includes('--help')) surroundings.stdout.write(command.usage);
    else await command.run(rest, surroundings);
  }
}

function find(name: string | undefined): Command {
  const known = [...commands.map((command) => command.name), '--help', '--version'];
  if (name === undefined) throw new UsageError(`say what to do: ${known.join(', ')}`);
  const command = commands.find((candidate) => candidate.name === name);
  if (command) return command;
  const nearest = nearestName(name, known);
  const what = name.startsWith('-') ? 'option' : 'command';
  throw new UsageError(
    `there is no ${what} ${quote(name)}; ` +
      (nearest === undefined ? `known are ${known.join(', ')}` : `did you mean ${quote(nearest)}?`),
  );
}

function until(args: readonly string[], end: string): number {
  const at = args.indexOf(end);
  return at < 0 ? args.length : at;
}
