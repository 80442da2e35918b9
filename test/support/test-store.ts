import type { StoreConfig } from '../../wrapper/config/config.js';
import type { BlobSource, DownloadEvent } from '../../wrapper/store/blob-store.js';
import { sha256 } from './fault-registry.js';

/** The store section of a configuration, without limits. */
export const storeConfig = (directory: string, changes: Partial<StoreConfig> = {}): StoreConfig => ({
  directory,
  maxBytes: 0,
  maxBlobs: 0,
  maxAgeMs: 0,
  minFreeBytes: 0,
  shared: undefined,
  ...changes,
});

export const blobOf = (bytes: Uint8Array, scope = 'here/team/app') => ({
  digest: sha256(bytes),
  size: bytes.length,
  scope,
});

export const caller = (signal = new AbortController().signal, events: DownloadEvent[] = []) => ({
  signal,
  onEvent: (event: DownloadEvent) => void events.push(event),
});

/** A registry that sends these bytes, and how often it was asked for what. */
export const sends = (bytes: Uint8Array) => {
  const asked = { bytes: 0, probe: 0 };
  const source: BlobSource = {
    async *bytes() {
      asked.bytes++;
      yield bytes;
    },
    async probe() {
      asked.probe++;
    },
    distrust: () => false,
  };
  return { ...source, asked };
};

/** A source of which only the bytes matter. */
export const from = (bytes: BlobSource['bytes']): BlobSource => ({
  bytes,
  probe: () => Promise.reject(new Error('was probed')),
  distrust: () => false,
});

/** A registry that must not be asked. */
export const never: BlobSource = {
  bytes: () => {
    throw new Error('was fetched again');
  },
  probe: () => Promise.reject(new Error('was probed')),
  distrust: () => false,
};
