import { Ajv } from 'ajv';

import { StowageError } from '../error.js';
import { digestOf, digestPattern, splitDigest } from './digest.js';
import { parseDocument } from './json-document.js';
import { configTypes, indexTypes, layerTypes, manifestTypes, schema1Types } from './media-types.js';
import { quote } from './quote.js';

/** OCI image-spec v1.1 descriptor.md: what to fetch, and how to know that it is right. */
export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

/** image-index.md, `platform`. Names are Go's: "amd64", "arm64". */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
}

export interface Manifest {
  kind: 'manifest';
  config: Descriptor;
  /** From the lowest to the uppermost; the same one may stand several times. */
  layers: Descriptor[];
}

export interface IndexEntry extends Descriptor {
  platform?: Platform;
  annotations?: Record<string, unknown> | null;
  artifactType?: string;
}

export interface Index {
  kind: 'index';
  manifests: IndexEntry[];
}

const mostLayers = 127;

// descriptor.md "Properties". The largest size is what a double holds exactly.
const descriptor = {
  type: 'object',
  required: ['mediaType', 'digest', 'size'],
  properties: {
    mediaType: { type: 'string', minLength: 1, maxLength: 255 },
    digest: { type: 'string', pattern: digestPattern },
    size: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    data: { type: 'string' },
    artifactType: { type: 'string' },
  },
} as const;

// manifest.md "Image Manifest Property Descriptions"; docker's "Image Manifest Version 2, Schema 2".
const manifestSchema = {
  type: 'object',
  required: ['schemaVersion', 'config', 'layers'],
  properties: {
    schemaVersion: { const: 2 },
    mediaType: { type: 'string' },
    artifactType: { type: 'string' },
    config: descriptor,
    layers: { type: 'array', items: descriptor },
  },
} as const;

// image-index.md "Image Index Property Descriptions"; docker's "Manifest List".
const indexSchema = {
  type: 'object',
  required: ['schemaVersion', 'manifests'],
  properties: {
    schemaVersion: { const: 2 },
    mediaType: { type: 'string' },
    manifests: {
      type: 'array',
      maxItems: 10_000,
      items: {
        ...descriptor,
        properties: {
          ...descriptor.properties,
          annotations: { type: 'object', nullable: true },
          platform: {
            type: 'object',
            required: ['architecture', 'os'],
            properties: {
              architecture: { type: 'string' },
              os: { type: 'string' },
              variant: { type: 'string' },
            },
          },
        },
      },
    },
  },
} as const;

type Embedded = Descriptor & { data?: string };

const ajv = new Ajv({ allErrors: false });
const isManifest = ajv.compile<{ artifactType?: string; config: Embedded; layers: Embedded[] }>(
  manifestSchema,
);
const isIndex = ajv.compile<{ manifests: (Embedded & IndexEntry)[] }>(indexSchema);

/**
 * Reads a manifest or an index. `declaredType` is what the registry's Content-Type or the descriptor that
 * led here says it is, if either says anything; `image` names the image in messages.
 */
export function parseManifest(
  bytes: Uint8Array,
  declaredType: string | undefined,
  image: string,
): Manifest | Index {
  const document = parseDocument(bytes, `the manifest of image ${image}`);
  const type = typeOf(document, declaredType, image);
  if (schema1Types.includes(type)) {
    throw unsupported(
      image,
      'has a manifest of schema 1, which was given up in 2016; ask its owner to build it again',
    );
  }
  if (indexTypes.includes(type)) {
    if (!isIndex(document))
      throw malformed(
        image,
        `has an index that breaks the OCI specification (${ajv.errorsText(isIndex.errors)})`,
      );
    document.manifests.forEach((entry) => checkEmbedded(entry, image));
    return { kind: 'index', manifests: document.manifests };
  }
  if (!manifestTypes.includes(type)) {
    throw unsupported(image, `is of type ${quote(type)}, not a container image`);
  }
  if (!isManifest(document)) {
    throw malformed(
      image,
      `has a manifest that breaks the OCI specification (${ajv.errorsText(isManifest.errors)})`,
    );
  }
  const { config, layers } = document;
  if (!configTypes.includes(config.mediaType)) {
    throw unsupported(
      image,
      `is not a container image but an artifact of type ${quote(document.artifactType ?? config.mediaType)}`,
    );
  }
  checkLayerCount(layers.length, image);
  for (const layer of layers) {
    if (!layerTypes.includes(layer.mediaType)) {
      throw unsupported(image, `has a layer of type ${quote(layer.mediaType)}, which cannot be unpacked`);
    }
  }
  [config, ...layers].forEach((entry) => checkEmbedded(entry, image));
  checkSizesAgree(layers, image);
  return { kind: 'manifest', config: plain(config), layers: layers.map(plain) };
}

/** Throws `image-unsupported` for an image of no or of too many layers. */
export function checkLayerCount(count: number, image: string): void {
  if (count === 0) throw unsupported(image, 'has no layers, so there is nothing in it to run');
  if (count > mostLayers) {
    throw unsupported(
      image,
      `has ${count} layers, and ${mostLayers} are the most that can be unpacked; squash it`,
    );
  }
}

/** The same layer may stand several times, but then it is of one size. */
function checkSizesAgree(layers: readonly Descriptor[], image: string): void {
  const sizes = new Map<string, number>();
  for (const { digest, size } of layers) {
    const other = sizes.get(digest) ?? size;
    if (other !== size) throw malformed(image, `claims that layer ${digest} has ${other} bytes, and ${size}`);
    sizes.set(digest, size);
  }
}

/**
 * What kind of document this is. A document with the properties of two kinds is refused: one reader would
 * run one image and another reader another.
 */
function typeOf(document: unknown, declaredType: string | undefined, image: string): string {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw malformed(image, 'has a manifest that is not a JSON object');
  }
  const { mediaType, schemaVersion } = document as { mediaType?: unknown; schemaVersion?: unknown };
  if (schemaVersion === 1) return schema1Types[0] as string;
  if (mediaType !== undefined && typeof mediaType !== 'string')
    throw malformed(image, 'has a mediaType that is not a string');
  if ('manifests' in document && ('layers' in document || 'config' in document)) {
    throw malformed(image, 'claims to be an index and a manifest at once');
  }
  if (mediaType !== undefined && declaredType !== undefined && mediaType !== declaredType) {
    throw malformed(image, `was sent as ${quote(declaredType)} but calls itself ${quote(mediaType)}`);
  }
  const type = mediaType ?? declaredType;
  if (type !== undefined) return type;
  return ('manifests' in document ? indexTypes[0] : manifestTypes[0]) as string;
}

/** descriptor.md "Embedded Content": `data` must match digest and size. It is not used otherwise. */
function checkEmbedded(entry: Embedded, image: string): void {
  if (entry.data === undefined) return;
  const bytes = Buffer.from(entry.data, 'base64');
  if (bytes.length !== entry.size || digestOf(bytes, splitDigest(entry.digest).algorithm) !== entry.digest) {
    throw malformed(image, `embeds data that does not match its digest ${entry.digest}`);
  }
}

function plain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function malformed(image: string, problem: string): StowageError {
  return new StowageError(
    'image-malformed',
    `image ${image} ${problem}; ask whoever built it to build it again`,
  );
}

function unsupported(image: string, problem: string): StowageError {
  return new StowageError('image-unsupported', `image ${image} ${problem}`);
}
