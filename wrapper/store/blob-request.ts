import type { OnWait } from '../registry/patience.js';
import type { Draft } from './draft.js';

export interface BlobRequest {
  digest: string;
  size: number;
  /** "REGISTRY/REPOSITORY" of the reference that it is asked for through; decision 0011. */
  scope: string;
}

/** What a download reports: bytes so far, or a sentence on why nothing moves. */
export type DownloadEvent = { doneBytes: number } | { waiting: string };

/** Where a caller would have a blob from. */
export interface BlobSource {
  /** The bytes from the first to the last. Throws SessionClosed if the caller that it belongs to is gone. */
  bytes(signal: AbortSignal, onWait: OnWait): AsyncIterable<Uint8Array>;
  /** Whether the caller would get them; throws what bytes() would throw. */
  probe(signal: AbortSignal, onWait: OnWait): Promise<void>;
  /** Hears that the bytes were wrong. Returns whether they would come from somewhere else now. */
  distrust(): boolean;
}

/** One download under way. */
export interface Delivery {
  request: BlobRequest;
  source: BlobSource;
  signal: AbortSignal;
  emit: (event: DownloadEvent) => void;
  draft: Draft;
}

/** By scope too, so that nobody can make others wait for a slow registry of their own choice. */
export function keyOf({ scope, digest, size }: BlobRequest): string {
  return `${scope} ${digest} ${size}`;
}
