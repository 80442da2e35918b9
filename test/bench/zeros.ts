import { runTimed, script } from './command.js';
import { zerosBytes } from './image/zeros.js';
import type { Place } from './contenders.js';
import type { Measured } from './report.js';
import { parseUsage, withUnpacker, withUsage } from './stowage-unpack.js';
import { checkComplete, freshDirectory } from './tree.js';

/** What else must fit beside the file. */
const slackBytes = 2 * 1024 ** 3;
export const zerosNeedBytes = zerosBytes + slackBytes;

/** Unpacks 10 GiB of zeros from a layer of 10 MB, once: it is the memory that is of interest. */
export const measureZeros = async (place: Place, signal: AbortSignal): Promise<Measured> => {
  const { images, layout, unpacker } = place;
  const tree = freshDirectory(place.tree);
  const content = { entries: 1, bytes: zerosBytes };
  const ours = await withUnpacker(unpacker, [images.zeros], layout, tree, (command) =>
    runTimed(withUsage(command), signal),
  );
  checkComplete(tree, content, 'stowage');
  freshDirectory(tree);
  const floor = await runTimed(script('igzip -dc "$1"', `${layout}/${images.zeros.path}`), signal);
  return {
    name: '10 GiB of zeros in 10 MB',
    content,
    seconds: new Map([
      ['stowage', [ours.seconds]],
      ['floor', [floor.seconds]],
    ]),
    usage: [parseUsage(ours.stderr)],
  };
};
