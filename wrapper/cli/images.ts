import { parseArguments } from './arguments.js';
import type { Command } from './command.js';
import { daemonOptions, daemonSocket, daemonUsage } from './daemon-options.js';
import { formatTable } from './table.js';
import { imageHeadings, imageRow, readImages } from './stored-images.js';
import type { Surroundings } from './surroundings.js';
import { UsageError } from './usage-error.js';

const usage = `usage: stowage images [OPTION...]

Lists the images of registries that you used on this node and that are still known here, the last used first.

  --all-users      those of all users; for administrators
  --json           print one JSON object, whose members stowage(1) explains
${daemonUsage}`;

async function run(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const { options, operands } = parseArguments(args, {
    'all-users': 'flag',
    json: 'flag',
    ...daemonOptions,
  });
  if (operands.length > 0)
    throw new UsageError('images wants no arguments; "stowage images --help" says more');
  const { DaemonClient } = await import('./daemon-client.js');
  const daemon = await DaemonClient.connect(daemonSocket(options, surroundings), surroundings.signal);
  try {
    const allUsers = options['all-users'] ?? false;
    const { images, leftOut } = await daemon.images(allUsers);
    const known = readImages(images);
    if (options.json) {
      surroundings.stdout.write(`${JSON.stringify({ images: known, left_out: leftOut ?? 0 }, null, 2)}\n`);
      return;
    }
    const rows = known.map((image) => imageRow(image, allUsers, Date.now()));
    surroundings.stdout.write(formatTable(imageHeadings(allUsers), rows));
    if (leftOut) surroundings.stderr.write(`stowage: ${leftOut} more are known here and not listed\n`);
  } finally {
    daemon.close();
  }
}

export const images: Command = {
  name: 'images',
  summary: 'list the images that are on this node',
  usage,
  run,
};
