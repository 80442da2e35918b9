import { Ajv } from 'ajv';

import { StowageError } from '../error.js';
import { parseConfig } from './config.js';
import { digestOf } from './digest.js';
import type { Image } from './image.js';
import { largestDocumentBytes, parseDocument } from './json-document.js';
import type { LocalRequest } from './local-files.js';
import { checkLayerCount } from './manifest.js';
import { quote } from './quote.js';
import { listNames, namesSameImage } from './saved-names.js';

/** github.com/moby/docker-image-spec "Combined Image JSON + Filesystem Changeset Format", manifest.json */
interface Entry {
  Config: string;
  RepoTags?: string[] | null;
  /** From the lowest to the uppermost. */
  Layers: string[];
}

const ajv = new Ajv({ allErrors: false });
const isManifest = ajv.compile<Entry[]>({
  type: 'array',
  maxItems: 10_000,
  items: {
    type: 'object',
    required: ['Config', 'Layers'],
    properties: {
      Config: { type: 'string' },
      RepoTags: { type: 'array', items: { type: 'string' }, nullable: true },
      Layers: { type: 'array', items: { type: 'string' } },
    },
  },
});

const layerType = 'application/vnd.docker.image.rootfs.diff.tar';
const longestMember = 4095;

/**
 * Reads an image of an archive that "docker save" or "podman save" made. It says nothing of the layers but
 * where they are and, in the configuration, what they hold: digests are "", sizes 0.
 */
export async function readDockerArchive(request: LocalRequest): Promise<Image> {
  const { files, node, name } = request;
  const document = parseDocument(
    await files.read('manifest.json', largestDocumentBytes),
    `the manifest.json of image ${name}`,
  );
  if (!isManifest(document)) {
    throw malformed(name, `has a manifest.json that is not docker's (${ajv.errorsText(isManifest.errors)})`);
  }
  const entry = choose(document, request);
  const members = entry.Layers.map((path) => memberOf(path, name));
  checkLayerCount(members.length, name);
  const bytes = await files.read(memberOf(entry.Config, name), largestDocumentBytes);
  const config = parseConfig(bytes, members.length, node, name);
  const layers = members.map((member, i) => ({
    mediaType: layerType,
    digest: '',
    size: 0,
    diffId: config.diffIds[i] as string,
    member,
  }));
  return { digest: digestOf(bytes), layers, config };
}

/** One entry may have several names, and one image several entries. */
function choose(entries: Entry[], { selector, name }: LocalRequest): Entry {
  if (entries.length === 0) throw malformed(name, 'has a manifest.json that names no image');
  const namesOf = ({ RepoTags }: Entry): (string | undefined)[] =>
    RepoTags && RepoTags.length > 0 ? RepoTags : [undefined];
  const meant =
    selector === ''
      ? entries
      : entries.filter(({ RepoTags }) => RepoTags?.some((saved) => namesSameImage(saved, selector)));
  const [first] = meant;
  if (first === undefined) {
    throw notFound(name, `there is no ${quote(selector)} in it, only ${listNames(entries.flatMap(namesOf))}`);
  }
  const same = ({ Config, Layers }: Entry): boolean =>
    Config === first.Config && Layers.join('\0') === first.Layers.join('\0');
  if (meant.every(same)) return first;
  throw notFound(
    name,
    `it holds several images; put ":" and one of these behind it: ${listNames(meant.flatMap(namesOf))}`,
  );
}

/** A path in the archive, in the one shortest way to write it. */
function memberOf(path: string, image: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const outside = path.startsWith('/') || parts.length === 0 || parts.includes('..');
  if (outside || path.includes('\0') || Buffer.byteLength(path) > longestMember) {
    throw malformed(
      image,
      `refers to ${quote(path)} in its manifest.json, which is not a path inside the archive`,
    );
  }
  return parts.join('/');
}

function notFound(image: string, problem: string): StowageError {
  return new StowageError('image-not-found', `image ${image} not found: ${problem}`);
}

function malformed(image: string, problem: string): StowageError {
  return new StowageError(
    'image-malformed',
    `image ${image} ${problem}; ask whoever made it to save it again`,
  );
}
