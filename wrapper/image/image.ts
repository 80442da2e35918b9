import { StowageError } from '../error.js';
import { type ImageConfig, parseConfig } from './config.js';
import { type Descriptor, type Manifest, parseManifest } from './manifest.js';
import { type NodePlatform, selectPlatform } from './platform.js';

export interface Layer extends Descriptor {
  /** Digest of the uncompressed tar stream. */
  diffId: string;
  /** The file of a local image that holds it; "" for an image of a registry. */
  member: string;
}

/** An image for this node's platform, read and checked. */
export interface Image {
  /** Of the manifest for this platform; of the configuration if there is none, as in docker's archives. */
  digest: string;
  layers: Layer[];
  config: ImageConfig;
}

/** Fetches a verified document by its digest; a mediaType of "" means that nobody has said it yet. */
export type DocumentSource = (digest: string, descriptor?: Descriptor) => Promise<Uint8Array>;

const deepestIndex = 4;

/** Walks from the digest that a reference stands for to the image for this node. */
export async function readImage(
  topDigest: string,
  topType: string | undefined,
  source: DocumentSource,
  node: NodePlatform,
  name: string,
): Promise<Image> {
  let digest = topDigest;
  let document = parseManifest(await source(digest), topType, name);
  for (let depth = 1; document.kind === 'index'; depth++) {
    if (depth > deepestIndex) {
      throw new StowageError(
        'image-unsupported',
        `image ${name} has indexes nested deeper than ${deepestIndex}`,
      );
    }
    const chosen = selectPlatform(document, node, name);
    digest = chosen.digest;
    document = parseManifest(await source(digest, chosen), chosen.mediaType, name);
  }
  const manifest: Manifest = document;
  const bytes = await source(manifest.config.digest, manifest.config);
  const config = parseConfig(bytes, manifest.layers.length, node, name);
  const layers = manifest.layers.map((layer, i) => ({
    ...layer,
    diffId: config.diffIds[i] as string,
    member: '',
  }));
  return { digest, layers, config };
}
