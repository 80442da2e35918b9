import type { FileHandle } from 'node:fs/promises';

import { readImage } from '../image/image.js';
import type { NodePlatform } from '../image/platform.js';
import type { Reference } from '../image/reference.js';
import { RegistryClient } from '../registry/client.js';
import { Transfers } from '../registry/transfers.js';
import { beginDownload, fetchDocument, layerBlobs, resolveReference } from '../store/registry-image.js';
import type { OpenedImage, OpenLayer, OpenLayers } from './opened-source.js';
import type { Tools } from './tools.js';
import { explainStore, openUserStore } from './user-store.js';

/** Asks the registry for an image, by way of the user's own store. Layers come when they are opened. */
export async function openRegistryImage(
  reference: Reference,
  node: NodePlatform,
  { config, surroundings, progress }: Tools,
): Promise<OpenedImage> {
  const store = await openUserStore(surroundings);
  const registry = new RegistryClient({ limits: config.download, registries: config.registries });
  const session = registry.session(async (...asked) => {
    const { askLogin } = await import('./login.js');
    return askLogin(...asked, surroundings, (remark) => progress.say(remark));
  });
  const rateOf = (name: string): number => config.registries[name]?.maxBytesPerSecond ?? 0;
  const transfers = new Transfers(config.download, rateOf);
  const supply = { session, transfers, store, uid: surroundings.uid };
  const closing = new AbortController();
  const signal = AbortSignal.any([surroundings.signal, closing.signal]);
  const waiting = { signal, onWait: (sentence: string) => progress.waiting(sentence) };
  const explain = (error: unknown): never => {
    throw explainStore(error, store.directory);
  };
  const files: FileHandle[] = [];
  let download: Promise<unknown> = Promise.resolve();
  const close = async (): Promise<void> => {
    closing.abort(new Error('the image was closed'));
    await download.catch(() => undefined);
    await Promise.all(files.map((file) => file.close()));
    session.close();
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
    const openFiles = async (): Promise<OpenLayer[]> => {
      const layers: OpenLayer[] = [];
      for (const blob of layerBlobs(image.layers, reference)) {
        const file = await store.openGrowing(blob);
        files.push(file);
        layers.push({ fd: file.fd, offset: 0 });
      }
      return layers;
    };
    const openLayers = async (): Promise<OpenLayers> => {
      const { isGrowing, done } = await beginDownload(supply, reference, image.layers, {
        parallel: config.download.parallelLayers,
        onProgress: ({ imageDoneBytes, imageTotalBytes, waiting: sentence }) => {
          if (sentence !== '') progress.waiting(sentence);
          else progress.bytes(`downloading ${reference.canonical}`, imageDoneBytes, imageTotalBytes);
        },
        signal,
      }).catch(explain);
      download = done.catch(explain);
      download.catch(() => undefined);
      // If they cannot be opened, either the download says why, or they can be afterwards.
      const growing = isGrowing ? await openFiles().catch(() => undefined) : undefined;
      if (growing) return { layers: growing, download };
      await download;
      return { layers: await openFiles().catch(explain), download: undefined };
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
    return explain(error);
  }
}
