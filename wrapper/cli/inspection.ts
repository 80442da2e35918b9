import type { Image } from '../image/image.js';
import { parseManifest } from '../image/manifest.js';
import { describePlatform } from '../image/platform.js';
import { readDetails } from './config-details.js';
import { compressionOf, type SquashfsFacts, squashfsFacts } from './file-facts.js';
import type { OpenedFile, OpenedImage, OpenedSource } from './opened-source.js';

/** What `inspect --json` prints; stowage(1) explains the members, which stay as they are. */
export type Inspection = ImageInspection | FileInspection | DirectoryInspection;

export interface ImageInspection {
  kind: 'image';
  name: string;
  source: OpenedImage['source'];
  digest: string;
  platform: string;
  /** All that an index offers, this one included; empty without an index. */
  platforms: string[];
  created: string | null;
  compressed_bytes: number;
  layers: { digest: string | null; diff_id: string; media_type: string; size_bytes: number }[];
  config: {
    user: string;
    working_directory: string;
    entrypoint: string[];
    command: string[];
    environment: string[];
    labels: Record<string, string>;
  };
}

export interface FileInspection {
  kind: 'tar' | 'cpio' | 'squashfs' | 'sif';
  name: string;
  digest: string;
  size_bytes: number;
  compression: string | null;
  architecture: string | null;
  squashfs: ({ offset: number; length: number } & SquashfsFacts) | null;
}

export interface DirectoryInspection {
  kind: 'directory';
  name: string;
}

/** Gathers what there is to know without unpacking. */
export async function inspectSource(source: OpenedSource): Promise<Inspection> {
  switch (source.kind) {
    case 'image':
      return inspectImage(source);
    case 'file':
      return inspectFile(source);
    case 'directory':
      return { kind: 'directory', name: source.name };
  }
}

function inspectImage({ name, source, image, documents }: OpenedImage): ImageInspection {
  const { created, labels } = readDetails(documents.at(-1) ?? new Uint8Array());
  const { config, digest } = image;
  return {
    kind: 'image',
    name,
    source,
    digest,
    platform: describePlatform(config.platform),
    platforms: platformsOf(documents.slice(0, -1), name),
    created,
    compressed_bytes: compressedBytes(image),
    layers: image.layers.map((layer) => ({
      digest: layer.digest === '' ? null : layer.digest,
      diff_id: layer.diffId,
      media_type: layer.mediaType,
      size_bytes: layer.size,
    })),
    config: {
      user: config.user,
      working_directory: config.workingDirectory,
      entrypoint: config.entrypoint,
      command: config.command,
      environment: config.environment,
      labels,
    },
  };
}

/** A layer that stands in an image several times is stored and downloaded once. */
function compressedBytes({ layers }: Image): number {
  const distinct = new Map(layers.map((layer) => [layer.digest || layer.diffId, layer.size]));
  return [...distinct.values()].reduce((sum, size) => sum + size, 0);
}

function platformsOf(documents: readonly Uint8Array[], name: string): string[] {
  const entries = documents.flatMap((bytes) => {
    const document = manifestOrNot(bytes, name);
    return document?.kind === 'index' ? document.manifests : [];
  });
  // BuildKit's attestations are called unknown/unknown.
  const named = entries.flatMap(({ platform }) =>
    platform && platform.os !== 'unknown' ? [describePlatform(platform)] : [],
  );
  return [...new Set(named)];
}

/** docker's manifest.json is a list, and no manifest. */
function manifestOrNot(bytes: Uint8Array, name: string): ReturnType<typeof parseManifest> | undefined {
  try {
    return parseManifest(bytes, undefined, name);
  } catch {
    return undefined;
  }
}

async function inspectFile({ name, identity, handle }: OpenedFile): Promise<FileInspection> {
  const hasSquashfs = identity.kind === 'squashfs' || identity.kind === 'sif';
  const stretch = hasSquashfs ? identity.squashfs : undefined;
  const facts = stretch && (await squashfsFacts(handle, stretch.offset));
  return {
    kind: identity.kind,
    name,
    digest: identity.digest,
    size_bytes: identity.size,
    compression: facts ? facts.compression : await compressionOf(handle),
    architecture: identity.kind === 'sif' ? identity.architecture : null,
    squashfs: stretch && facts ? { offset: stretch.offset, length: stretch.size, ...facts } : null,
  };
}
