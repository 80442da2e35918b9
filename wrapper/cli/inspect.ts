import { parseArguments } from './arguments.js';
import type { Command } from './command.js';
import { describe } from './describe.js';
import { inspectSource } from './inspection.js';
import { openSource } from './open-source.js';
import { ProgressLine } from './progress-line.js';
import { findUnpacker } from './programs.js';
import { siteConfig } from './site-config.js';
import type { Surroundings } from './surroundings.js';
import { UsageError } from './usage-error.js';

const usage = `usage: stowage inspect [OPTION...] SOURCE

Says what an image is and holds, without unpacking it.
SOURCE is what --image takes: the name of an image in a registry, oci:DIR[:TAG], oci-archive:FILE[:TAG],
docker-archive:FILE[:NAME], or the path of a directory, tar, cpio, squashfs or SIF file.

  --json           print one JSON object, whose members stowage(1) explains
  --config FILE    registries and short names, by default /etc/stowage/stowage.toml if it is there
  --quiet          say nothing on standard error but errors
  --help           say how it is called, and exit
`;

async function run(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const { options, operands } = parseArguments(args, {
    json: 'flag',
    config: 'value',
    quiet: 'flag',
    help: 'flag',
  });
  const [text] = operands;
  if (text === undefined || operands.length > 1) {
    throw new UsageError('inspect wants one SOURCE; "stowage inspect --help" says more');
  }
  const progress = new ProgressLine(surroundings.stderr, options.quiet ?? false);
  const source = await openSource(text, {
    program: findUnpacker(surroundings.env),
    config: siteConfig(options.config, surroundings),
    surroundings,
    progress,
  }).finally(() => progress.clear());
  try {
    const inspection = await inspectSource(source);
    surroundings.stdout.write(
      options.json ? `${JSON.stringify(inspection, null, 2)}\n` : describe(inspection),
    );
  } finally {
    await source.close();
  }
}

export const inspect: Command = {
  name: 'inspect',
  summary: 'say what an image is and holds',
  usage,
  run,
};
