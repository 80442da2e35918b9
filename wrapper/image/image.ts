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
  /** What was read on the way from the digest that a name stood for: indexes, manifest, configuration. */
  documents?: { digest: string; size: number }[];
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
  const documents: { digest: string; size: number }[] = [];
  const read: DocumentSource = async (wanted, descriptor) => {
    const bytes = await source(wanted, descriptor);
    documents.push({ digest: wanted, size: bytes.length });
    return bytes;
  };
  let digest = topDigest;
  let document = parseManifest(await read(digest), topType, name);
  for (let depth = 1; document.kind === 'index'; depth++) {
    if (depth > deepestIndex) {
      throw new StowageError(
        'image-unsupported',
        `image ${name} has indexes nested deeper than ${deepestIndex}`,
      );
    }
    const chosen = selectPlatform(document, node, name);
    digest = chosen.digest;
    document = parseManifest(await read(digest, chosen), chosen.mediaType, name);
  }
  const manifest: Manifest = document;
  const bytes = await read(manifest.config.digest, manifest.config);
  const config = parseConfig(bytes, manifest.layers.length, node, name);
  const layers = manifest.layers.map((layer, i) => ({
    ...layer,
    diffId: config.diffIds[i] as string,
    member: '',
  }));
  return { digest, layers, config, documents };
}
