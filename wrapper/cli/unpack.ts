import { realpath } from 'node:fs/promises';
import { relative } from 'node:path';

import type { Config } from '../config/config.js';
import { budgetLimits } from '../config/schema.js';
import { StowageError } from '../error.js';
import { quote } from '../image/quote.js';
import { parseAmount, parseArguments, parseCount } from './arguments.js';
import { CommandError } from './command-error.js';
import type { Command } from './command.js';
import { openSource } from './open-source.js';
import type { OpenedSource, OpenLayer } from './opened-source.js';
import { ProgressLine } from './progress-line.js';
import { findUnpacker } from './programs.js';
import { siteConfig } from './site-config.js';
import type { Surroundings } from './surroundings.js';
import { TargetDirectory } from './target-directory.js';
import { firstDescriptor, runUnpacker, type UnpackerAnswer } from './unpacker.js';
import { UsageError } from './usage-error.js';
import { whileDownloading } from './while-downloading.js';

const usage = `usage: stowage unpack [OPTION...] SOURCE DIR

Unpacks an image into the new directory DIR, which --image=DIR and this command take in turn.
SOURCE is what --image takes: the name of an image in a registry, oci:DIR[:TAG], oci-archive:FILE[:TAG],
docker-archive:FILE[:NAME], or the path of a directory, tar, cpio, squashfs or SIF file.

  --max-bytes N    most bytes that the files may have together; K, M, G and T may follow (powers of 1024)
  --max-inodes N   most files, directories and links
  --max-seconds N  most processor time, of all threads together
  --max-depth N    most directories one in another
  --config FILE    registries, short names and limits, by default /etc/stowage/stowage.toml if it is there
  --quiet          say nothing but errors
  --help           say how it is called, and exit
`;

async function run(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const { options, operands } = parseArguments(args, {
    'max-bytes': 'value',
    'max-inodes': 'value',
    'max-seconds': 'value',
    'max-depth': 'value',
    config: 'value',
    quiet: 'flag',
    help: 'flag',
  });
  const [text, directory] = operands;
  if (text === undefined || directory === undefined || operands.length > 2 || directory === '') {
    throw new UsageError('unpack wants a SOURCE and a DIR; "stowage unpack --help" says more');
  }
  const config = siteConfig(options.config, surroundings);
  const budget = budgetOf(options, config.budget);
  const progress = new ProgressLine(surroundings.stderr, options.quiet ?? false);
  try {
    if (surroundings.uid === 0) {
      progress.say("unpacking as root: the files will be root's, and an ordinary user could do the same");
    }
    await unpackSource(text, directory, { ...config, budget }, surroundings, progress);
  } finally {
    progress.clear();
  }
}

/** The configured one, but for what options say. */
function budgetOf(
  options: { [Name in `max-${'bytes' | 'inodes' | 'seconds' | 'depth'}`]?: string },
  configured: Config['budget'],
): Config['budget'] {
  const { maxSeconds, maxDepth } = budgetLimits;
  const { 'max-bytes': bytes, 'max-inodes': inodes, 'max-seconds': seconds, 'max-depth': depth } = options;
  return {
    maxBytes: bytes === undefined ? configured.maxBytes : parseAmount('--max-bytes', bytes),
    maxInodes: inodes === undefined ? configured.maxInodes : parseAmount('--max-inodes', inodes),
    maxSeconds:
      seconds === undefined ? configured.maxSeconds : parseCount('--max-seconds', seconds, maxSeconds),
    maxDepth: depth === undefined ? configured.maxDepth : parseCount('--max-depth', depth, maxDepth),
  };
}

async function unpackSource(
  text: string,
  directory: string,
  config: Config,
  surroundings: Surroundings,
  progress: ProgressLine,
): Promise<void> {
  // First what can be wrong at no cost.
  const program = findUnpacker(surroundings.env);
  const target = await TargetDirectory.make(directory, surroundings.cwd);
  try {
    const source = await openSource(text, { program, config, surroundings, progress });
    try {
      if (source.kind === 'directory') await refuseWithin(source.name, target.path);
      await fillIn(target, source, program, config.budget, surroundings.signal, progress);
    } finally {
      await source.close();
    }
    surroundings.signal.throwIfAborted();
    await target.publish();
    const digest = digestOf(source);
    progress.say(`${target.path} is ${source.name}${digest === undefined ? '' : ` (${digest})`}`);
  } catch (error) {
    await target.discard();
    throw error;
  }
}

async function fillIn(
  target: TargetDirectory,
  source: OpenedSource,
  program: string,
  budget: Config['budget'],
  signal: AbortSignal,
  progress: ProgressLine,
): Promise<void> {
  const { args, descriptors, sizes, download } = await sourceArguments(source, budget.maxBytes);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const before = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size, 0));
  let isDownloading = download !== undefined;
  const over = (): boolean => (isDownloading = false);
  download?.then(over, over);
  const unpackAll = (until: AbortSignal): Promise<UnpackerAnswer> =>
    runUnpacker(program, {
      args: [
        ...['--root-fd', String(firstDescriptor)],
        ...['--max-bytes', String(budget.maxBytes), '--max-inodes', String(budget.maxInodes)],
        ...['--max-seconds', String(budget.maxSeconds), '--max-depth', String(budget.maxDepth)],
        ...args,
      ],
      descriptors: [target.handle.fd, ...descriptors],
      what: source.kind === 'image' ? `image ${source.name}` : source.name,
      onProgress: (index, done, ofSource) => {
        // One line can say one thing, and it is the download that is waited for.
        if (isDownloading) return;
        progress.bytes(`unpacking ${source.name}`, (before[index] ?? 0) + done, total || ofSource);
      },
      signal: until,
    });
  const { warnings } = await (download ? whileDownloading(download, signal, unpackAll) : unpackAll(signal));
  for (const warning of warnings) progress.say(warning);
}

/** A copy inside of what is copied would never end. */
async function refuseWithin(source: string, target: string): Promise<void> {
  const real = await realpath(source);
  if (!relative(real, target).startsWith('..')) {
    throw new CommandError(
      `cannot unpack to ${quote(target)}: it lies in the directory that is to be unpacked; name another`,
    );
  }
}

/** What stowage-unpack is told of a source; its descriptors follow the one of the root. */
interface SourceArguments {
  args: string[];
  descriptors: number[];
  /** Of what it reads one after the other, in bytes. */
  sizes: number[];
  /** As in OpenLayers. */
  download?: Promise<unknown> | undefined;
}

async function sourceArguments(source: OpenedSource, maxBytes: number): Promise<SourceArguments> {
  const first = firstDescriptor + 1;
  if (source.kind === 'directory') {
    return { args: ['--directory', String(first)], descriptors: [source.handle.fd], sizes: [] };
  }
  if (source.kind === 'file') {
    const { digest, size } = source.identity;
    return { args: ['--file', `${first}:${size}:${digest}`], descriptors: [source.handle.fd], sizes: [size] };
  }
  const sizes = source.image.layers.map(({ size }) => size);
  refuseTooLarge(source.name, sizes, maxBytes);
  const { layers, download } = await source.openLayers();
  const args = source.image.layers.flatMap(({ size, digest, diffId }, i) => {
    const { offset } = layers[i] as OpenLayer;
    return ['--layer', `${first + i}${offset === 0 ? '' : `@${offset}`}:${size}:${digest || '-'}:${diffId}`];
  });
  if (download) args.unshift('--growing');
  return { args, descriptors: layers.map(({ fd }) => fd), sizes, download };
}

function refuseTooLarge(name: string, sizes: readonly number[], maxBytes: number): void {
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  if (bytes <= maxBytes) return;
  throw new StowageError(
    'image-too-large',
    `image ${name} has ${bytes} bytes compressed, and ${maxBytes} are allowed unpacked; raise --max-bytes, or use a smaller image`,
  );
}

function digestOf(source: OpenedSource): string | undefined {
  if (source.kind === 'image') return source.image.digest;
  return source.kind === 'file' ? source.identity.digest : undefined;
}

export const unpack: Command = {
  name: 'unpack',
  summary: 'make a directory of an image',
  usage,
  run,
};
