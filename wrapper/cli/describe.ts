import { type Fact, formatFacts } from './facts.js';
import { formatBytes } from './format.js';
import type { FileInspection, ImageInspection, Inspection } from './inspection.js';

/** An inspection for people: one fact per line, aligned, control characters escaped. */
export function describe(inspection: Inspection): string {
  switch (inspection.kind) {
    case 'image':
      return describeImage(inspection);
    case 'directory':
      return formatFacts([
        ['directory', inspection.name],
        ['digest', 'none: it is used where it is, as it is'],
      ]);
    default:
      return describeFile(inspection);
  }
}

function describeImage(image: ImageInspection): string {
  const { config, layers } = image;
  const others = image.platforms.filter((platform) => platform !== image.platform);
  const facts = formatFacts([
    ['image', image.name],
    ['digest', image.digest],
    ['platform', image.platform + (others.length > 0 ? ` (there is also ${others.join(', ')})` : '')],
    ['created', image.created],
    [
      'size',
      `${formatBytes(image.compressed_bytes)} in ${layers.length} ${layers.length === 1 ? 'layer' : 'layers'}`,
    ],
    ['entrypoint', words(config.entrypoint)],
    ['command', words(config.command)],
    ['user', config.user === '' ? null : `${config.user} (ranks stay who they are)`],
    ['directory', config.working_directory],
    ...listed('environment', config.environment),
    ...listed(
      'labels',
      Object.entries(config.labels).map(([name, value]) => `${name}=${value}`),
    ),
  ]);
  const described = layers.map(
    (layer, i) =>
      `\nlayer ${i + 1}\n` +
      formatFacts([
        ['  digest', layer.digest],
        ['  diff_id', layer.diff_id],
        ['  type', layer.media_type],
        ['  size', formatBytes(layer.size_bytes)],
      ]),
  );
  return facts + described.join('');
}

function describeFile(file: FileInspection): string {
  const { squashfs } = file;
  const blocks = typeof squashfs?.block_size === 'number' ? `${squashfs.block_size} B` : null;
  return formatFacts([
    ['file', file.name],
    ['kind', file.kind],
    ['digest', file.digest],
    ['size', formatBytes(file.size_bytes)],
    ['compression', file.compression ?? 'none'],
    ['platform', file.architecture === null ? null : `linux/${file.architecture}`],
    ['squashfs', squashfs && `${formatBytes(squashfs.length)} from byte ${squashfs.offset} on`],
    ['blocks of', blocks],
    ['created', squashfs?.created ?? null],
  ]);
}

/** A command as it would be typed, near enough: words with spaces are quoted. */
function words(list: readonly string[]): string | null {
  return list.length === 0
    ? null
    : list.map((word) => (/^[^\s"'\\]+$/.test(word) ? word : JSON.stringify(word))).join(' ');
}

function listed(label: string, texts: readonly string[]): Fact[] {
  return texts.map((text, i) => [i === 0 ? label : '', text]);
}
