import assert from 'node:assert/strict';

import type { BlobRequest, BlobSource, BlobStore, DownloadEvent } from '../../wrapper/store/blob-store.js';
import { downloadLayers } from '../../wrapper/store/download-layers.js';

type Ensure = BlobStore['ensure'];

const layers = Array.from({ length: 5 }, (_, i) => ({ mediaType: 'x', digest: `sha256:${i}`, size: 10 + i }));
const source = {} as BlobSource;

describe('downloadLayers', () => {
  /** What is under way, by digest. */
  let begun: Map<string, { arrive: () => void; end: () => void; fail: (error: Error) => void }>;
  const ensure: Ensure = ({ digest, size }: BlobRequest, _, { signal, onEvent }) =>
    new Promise((resolve, reject) => {
      const emit: (event: DownloadEvent) => void = onEvent;
      signal.addEventListener('abort', () => reject(signal.reason as Error));
      begun.set(digest, {
        arrive: () => emit({ doneBytes: size }),
        end: () => resolve(size),
        fail: reject,
      });
    });
  const run = () =>
    downloadLayers({ ensure, isReadable: () => Promise.resolve(false) } as unknown as BlobStore, layers, {
      ...{ parallel: 2, scope: 'here/app', source: () => source, onProgress: () => undefined },
      signal: new AbortController().signal,
    });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  beforeEach(() => (begun = new Map()));

  it('begins the next layer when the bytes of one have come, and waits until all are on the disk', async () => {
    let isDone = false;
    const done = run().finally(() => (isDone = true));
    await settle();
    assert.equal(begun.size, 2);
    begun.get('sha256:0')?.arrive();
    await settle();
    assert.equal(begun.size, 3);
    for (const { digest } of layers.slice(1)) {
      begun.get(digest)?.arrive();
      begun.get(digest)?.end();
      await settle();
    }
    assert.equal(begun.size, 5);
    assert.equal(isDone, false, 'the first one is not on the disk');
    begun.get('sha256:0')?.end();
    assert.equal(await done, 10 + 11 + 12 + 13 + 14);
  });

  it('fails with what befell a layer after its bytes had come, and begins no other', async () => {
    const done = run();
    await settle();
    begun.get('sha256:0')?.arrive();
    await settle();
    begun.get('sha256:0')?.fail(new Error('no space'));
    await assert.rejects(done, /no space/);
    assert.equal(begun.size, 3);
  });
});
