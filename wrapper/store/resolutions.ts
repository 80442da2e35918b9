import type { Reference } from '../image/reference.js';

export interface Resolution {
  /** Of the manifest or index that the registry sent. */
  digest: string;
  /** What the registry called it; undefined if it did not say. */
  mediaType: string | undefined;
}

export interface Asker {
  uid: number;
  /** 0 when the caller is not in a job. */
  jobId: number;
}

const mostEntries = 20_000;

/**
 * What references stood for when their users asked. One user's answers are never another's: that a
 * registry showed an image to one says nothing about what it shows to another.
 */
export class Resolutions {
  readonly #byUser = new Map<string, Resolution & { resolvedAtMs: number }>();
  readonly #byJob = new Map<string, Resolution>();

  constructor(
    private readonly ttlMs: number,
    private readonly now: () => number = Date.now,
  ) {}

  /** An answer that may be used again: the job's own, one for a pinned digest, or a young one. */
  find(asker: Asker, reference: Reference): Resolution | undefined {
    const ofJob = asker.jobId === 0 ? undefined : this.#byJob.get(jobKey(asker, reference));
    if (ofJob) return ofJob;
    const ofUser = this.#byUser.get(userKey(asker, reference));
    if (!ofUser) return undefined;
    const usable = reference.digest !== undefined || this.now() - ofUser.resolvedAtMs < this.ttlMs;
    return usable ? this.#keepForJob(asker, reference, ofUser) : undefined;
  }

  /**
   * Records what the registry answered. Returns what the caller must use: if another step of the same job
   * was answered first, that step's digest.
   */
  remember(asker: Asker, reference: Reference, resolution: Resolution): Resolution {
    put(this.#byUser, userKey(asker, reference), { ...resolution, resolvedAtMs: this.now() });
    return this.#keepForJob(asker, reference, resolution);
  }

  /** For an answer that turned out to be of no use: once the image is mended, the registry is asked anew. */
  forget(asker: Asker, reference: Reference): void {
    this.#byUser.delete(userKey(asker, reference));
    this.#byJob.delete(jobKey(asker, reference));
  }

  #keepForJob(asker: Asker, reference: Reference, { digest, mediaType }: Resolution): Resolution {
    if (asker.jobId === 0) return { digest, mediaType };
    const key = jobKey(asker, reference);
    const first = this.#byJob.get(key) ?? { digest, mediaType };
    put(this.#byJob, key, first);
    return first;
  }
}

function userKey({ uid }: Asker, { canonical }: Reference): string {
  return `${uid} ${canonical}`;
}

function jobKey({ uid, jobId }: Asker, { canonical }: Reference): string {
  return `${uid} ${jobId} ${canonical}`;
}

/** Maps keep the order of insertion, so the first entry is the one not used for longest. */
function put<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  const oldest = map.keys().next();
  if (map.size > mostEntries && !oldest.done) map.delete(oldest.value);
}
