import type { Descriptor } from '../image/manifest.js';
import type { BlobSource, BlobStore } from './blob-store.js';

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
  const worker = async (): Promise<void> => {
    for (const layer of queue) {
      signal.throwIfAborted();
      const fetchedBytes = await store.ensure({ ...layer, scope: options.scope }, options.source(layer), {
        signal,
        onEvent: (event) =>
          'doneBytes' in event
            ? report(layer, event.doneBytes)
            : report(layer, done.get(layer.digest) ?? 0, event.waiting),
      });
      downloadedBytes += fetchedBytes;
      report(layer, layer.size);
    }
  };
  const workers = Array.from({ length: Math.min(options.parallel, distinct.length) }, () =>
    worker().catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  );
  const outcomes = await Promise.allSettled(workers);
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  // The others fail with the first one's error as their reason, so any of them tells the story.
  if (failure) throw failure.reason;
  return downloadedBytes;
}
