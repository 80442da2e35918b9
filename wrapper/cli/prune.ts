import { parseArguments, parseDuration } from './arguments.js';
import type { Command } from './command.js';
import { daemonOptions, daemonSocket, daemonUsage } from './daemon-options.js';
import { formatBytes } from './format.js';
import { imageHeadings, imageRow, readImages } from './stored-images.js';
import type { Surroundings } from './surroundings.js';
import { formatTable } from './table.js';

const usage = `usage: stowage prune [OPTION...] [REF...]

Forgets the images REF that you used on this node, or all of them, and removes what no other image known here needs.
Running jobs notice nothing; who uses such an image again downloads it again.

  --unused-for T   only images that were not used for so long: 12h, 30d, 8w
  --all-users      images of all users; for administrators
  --dry-run        only say what would be removed
${daemonUsage}`;

async function run(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const { options, operands } = parseArguments(args, {
    'unused-for': 'value',
    'all-users': 'flag',
    'dry-run': 'flag',
    ...daemonOptions,
  });
  const unusedFor = options['unused-for'];
  const request = {
    references: operands,
    unusedSeconds: unusedFor === undefined ? 0 : parseDuration('--unused-for', unusedFor),
    allUsers: options['all-users'] ?? false,
    dryRun: options['dry-run'] ?? false,
  };
  const { DaemonClient } = await import('./daemon-client.js');
  const daemon = await DaemonClient.connect(daemonSocket(options, surroundings), surroundings.signal);
  try {
    const { images, leftOut, removedBlobs, removedBytes } = await daemon.prune(request);
    const rows = readImages(images).map((image) => imageRow(image, request.allUsers, Date.now()));
    if (rows.length > 0) surroundings.stdout.write(formatTable(imageHeadings(request.allUsers), rows));
    const count = rows.length + (leftOut ?? 0);
    surroundings.stdout.write(
      `${request.dryRun ? 'would forget' : 'forgot'} ${count} ${count === 1 ? 'image' : 'images'}, ` +
        `${request.dryRun ? 'and free' : 'and freed'} ${formatBytes(Number(removedBytes ?? 0))} ` +
        `in ${Number(removedBlobs ?? 0)} blobs\n`,
    );
  } finally {
    daemon.close();
  }
}

export const prune: Command = {
  name: 'prune',
  summary: 'remove images from this node that you need no more',
  usage,
  run,
};
