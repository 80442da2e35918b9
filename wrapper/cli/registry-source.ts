import type { FileHandle } from 'node:fs/promises';

import { readImage } from '../image/image.js';
import type { NodePlatform } from '../image/platform.js';
import type { Reference } from '../image/reference.js';
import { RegistryClient } from '../registry/client.js';
import { downloadLayers } from '../store/download-layers.js';
import { fetchDocument, layerFetch, resolveReference } from '../store/registry-image.js';
import type { OpenedImage } from './opened-source.js';
import type { Tools } from './tools.js';
import { explainStore, openUserStore } from './user-store.js';

/** Asks the registry for an image, by way of the user's own store. Layers come when they are opened. */
export async function openRegistryImage(
  reference: Reference,
  node: NodePlatform,
  { config, surroundings, progress }: Tools,
): Promise<OpenedImage> {
  const { signal } = surroundings;
  const store = await openUserStore(surroundings);
  const registry = new RegistryClient({ limits: config.download, registries: config.registries });
  const supply = { registry, store };
  const waiting = { signal, onWait: (sentence: string) => progress.waiting(sentence) };
  const files: FileHandle[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(files.map((file) => file.close()));
    registry.close();
    await store.close();
  };
  try {
    const documents: Uint8Array[] = [];
    const { digest, mediaType } = await resolveReference(supply, reference, waiting);
    const image = await readImage(
      digest,
      mediaType,
      async (wanted, descriptor) => {
        const bytes = await fetchDocument(supply, reference, wanted, descriptor, waiting);
        documents.push(bytes);
        return bytes;
      },
      node,
      reference.canonical,
    );
    const openLayers: OpenedImage['openLayers'] = async () => {
      try {
        await downloadLayers(store, image.layers, {
          parallel: config.download.parallelLayers,
          origin: reference.registry,
          fetch: (layer) => layerFetch(registry, reference, layer),
          onProgress: ({ imageDoneBytes, imageTotalBytes, waiting: sentence }) => {
            if (sentence !== '') progress.waiting(sentence);
            else progress.bytes(`downloading ${reference.canonical}`, imageDoneBytes, imageTotalBytes);
          },
          signal,
        });
        for (const { digest: blob } of image.layers) files.push(await store.open(blob));
      } catch (error) {
        throw explainStore(error, store.directory);
      }
      return files.map(({ fd }) => ({ fd, offset: 0 }));
    };
    return {
      kind: 'image',
      source: 'registry',
      name: reference.canonical,
      image,
      documents,
      openLayers,
      close,
    };
  } catch (error) {
    await close();
    throw explainStore(error, store.directory);
  }
}
