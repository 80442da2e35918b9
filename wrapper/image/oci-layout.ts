import { Ajv } from 'ajv';

import { StowageError } from '../error.js';
import { digestOf, splitDigest } from './digest.js';
import { type Image, readImage } from './image.js';
import { largestDocumentBytes, parseDocument } from './json-document.js';
import type { LocalRequest } from './local-files.js';
import { type Descriptor, type Index, type IndexEntry, parseManifest } from './manifest.js';
import { selectPlatform } from './platform.js';
import { quote } from './quote.js';
import { listNames, namesSameImage } from './saved-names.js';

// OCI image-spec v1.1 image-layout.md "oci-layout file".
const isLayout = new Ajv().compile<{ imageLayoutVersion: string }>({
  type: 'object',
  required: ['imageLayoutVersion'],
  properties: { imageLayoutVersion: { type: 'string' } },
});
const layoutVersion = '1.0.0';
const longestLayoutFile = 4096;

// annotations.md "Pre-Defined Annotation Keys"; containerd and docker write the whole name beside it.
const tagKey = 'org.opencontainers.image.ref.name';
const nameKey = 'io.containerd.image.name';

/** Reads an image of an OCI layout, be it a directory or an archive. */
export async function readOciLayout(request: LocalRequest): Promise<Image> {
  const { files, node, name } = request;
  checkVersion(await files.read('oci-layout', longestLayoutFile), name);
  const index = parseManifest(await files.read('index.json', largestDocumentBytes), undefined, name);
  if (index.kind !== 'index') throw malformed(name, 'has a manifest in place of its index.json');
  const top = choose(index, request);

  const source = async (digest: string, descriptor: Descriptor = top): Promise<Uint8Array> => {
    const { size } = descriptor;
    if (size > largestDocumentBytes) {
      throw malformed(
        name,
        `has a document of ${size} bytes (${digest}), and ${largestDocumentBytes} are the most`,
      );
    }
    const bytes = await files.read(memberOf(digest), size);
    const found = digestOf(bytes, splitDigest(digest).algorithm);
    if (bytes.length !== size || found !== digest) {
      throw malformed(
        name,
        `has wrong bytes in ${memberOf(digest)}: ${bytes.length} bytes with the digest ${found}, not ${size}`,
      );
    }
    return bytes;
  };
  const image = await readImage(top.digest, top.mediaType, source, node, name);
  return { ...image, layers: image.layers.map((layer) => ({ ...layer, member: memberOf(layer.digest) })) };
}

function checkVersion(bytes: Uint8Array, image: string): void {
  const layout = parseDocument(bytes, `the file oci-layout of image ${image}`);
  if (!isLayout(layout))
    throw malformed(image, 'has a file oci-layout that does not say which version it is');
  if (layout.imageLayoutVersion === layoutVersion) return;
  throw new StowageError(
    'image-unsupported',
    `image ${image} is an OCI layout of version ${quote(layout.imageLayoutVersion)}, and ${layoutVersion} is what can be read`,
  );
}

/** The entry that is meant. Entries for several platforms, otherwise named alike, are one image. */
function choose(index: Index, { selector, node, name }: LocalRequest): Descriptor {
  const manifests = index.manifests.filter(isImage);
  if (manifests.length === 0) throw malformed(name, 'is an OCI layout without an image in it');
  const meant = selector === '' ? manifests : manifests.filter((entry) => isNamed(entry, selector));
  const [first] = meant;
  if (first === undefined) {
    throw notFound(name, `there is no ${quote(selector)} in it, only ${listNames(manifests.map(nameOf))}`);
  }
  if (meant.every(({ digest }) => digest === first.digest)) return first;
  if (meant.every((entry) => entry.platform !== undefined && nameOf(entry) === nameOf(first))) {
    return selectPlatform({ kind: 'index', manifests: meant }, node, name);
  }
  throw notFound(
    name,
    `it holds several images; put ":" and one of these behind it: ${listNames(meant.map(nameOf))}`,
  );
}

/** Signatures and BuildKit's attestations stand beside the images that they are about. */
function isImage({ artifactType, platform }: IndexEntry): boolean {
  return artifactType === undefined && platform?.os !== 'unknown';
}

function isNamed(entry: IndexEntry, selector: string): boolean {
  const whole = annotation(entry, nameKey);
  return annotation(entry, tagKey) === selector || (whole !== undefined && namesSameImage(whole, selector));
}

/** What messages call an entry: if there is a whole name, that, as the tag alone may be another's too. */
function nameOf(entry: IndexEntry): string | undefined {
  return annotation(entry, nameKey) ?? annotation(entry, tagKey);
}

function annotation({ annotations }: IndexEntry, key: string): string | undefined {
  const value = annotations?.[key];
  return typeof value === 'string' ? value : undefined;
}

/** image-layout.md "Blobs" */
function memberOf(digest: string): string {
  const { algorithm, hex } = splitDigest(digest);
  return `blobs/${algorithm}/${hex}`;
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
