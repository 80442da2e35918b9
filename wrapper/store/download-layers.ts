import type { Descriptor } from '../image/manifest.js';
import type { BlobSource, BlobStore, DownloadEvent } from './blob-store.js';

/** One observation of a download; bytes that were in the store before count as done. */
export interface LayerProgress {
  layerDigest: string;
  layerDoneBytes: number;
  layerTotalBytes: number;
  imageDoneBytes: number;
  imageTotalBytes: number;
  /** Why nothing moves, or empty. */
  waiting: string;
}

export interface DownloadOptions {
  /** How many layers at once. Sensible: 1-8. */
  parallel: number;
  /** See BlobRequest. */
  scope: string;
  source: (layer: Descriptor) => BlobSource;
  onProgress: (progress: LayerProgress) => void;
  signal: AbortSignal;
}

/**
 * Makes all layers be in the store, several at a time. The first failure stops the others. Returns the
 * bytes that had to come from the registry.
 */
export async function downloadLayers(
  store: BlobStore,
  layers: readonly Descriptor[],
  options: DownloadOptions,
): Promise<number> {
  const distinct = [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
  const done = new Map<string, number>();
  const imageTotalBytes = distinct.reduce((sum, { size }) => sum + size, 0);
  for (const { digest, size } of distinct) {
    // What others have downloaded is none of the caller's business.
    if (await store.isReadable(digest, options.scope)) done.set(digest, size);
  }
  const report = (layer: Descriptor, doneBytes: number, waiting = ''): void => {
    done.set(layer.digest, doneBytes);
    options.onProgress({
      layerDigest: layer.digest,
      layerDoneBytes: doneBytes,
      layerTotalBytes: layer.size,
      imageDoneBytes: [...done.values()].reduce((sum, bytes) => sum + bytes, 0),
      imageTotalBytes,
      waiting,
    });
  };

  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const queue = distinct.values();
  let downloadedBytes = 0;
  const ensure = async (layer: Descriptor, onArrival: () => void): Promise<void> => {
    const onEvent = (event: DownloadEvent): void => {
      if ('waiting' in event) {
        report(layer, done.get(layer.digest) ?? 0, event.waiting);
      } else {
        report(layer, event.doneBytes);
        if (event.doneBytes === layer.size) onArrival();
      }
    };
    try {
      const request = { ...layer, scope: options.scope };
      const fetchedBytes = await store.ensure(request, options.source(layer), { signal, onEvent });
      downloadedBytes += fetchedBytes;
      report(layer, layer.size);
    } catch (error) {
      failed.abort(error);
      throw error;
    } finally {
      onArrival();
    }
  };
  const begun: Promise<void>[] = [];
  const worker = async (): Promise<void> => {
    for (const layer of queue) {
      if (signal.aborted) return;
      // The next one comes while this one is put on the disk.
      await new Promise<void>((onArrival) => {
        const ensured = ensure(layer, onArrival);
        ensured.catch(() => undefined);
        begun.push(ensured);
      });
    }
  };
  await Promise.all(Array.from({ length: options.parallel }, worker));
  const outcomes = await Promise.allSettled(begun);
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  // The others fail with the first one's error as their reason, so any of them tells the story.
  if (failure) throw failure.reason;
  signal.throwIfAborted();
  return downloadedBytes;
}
