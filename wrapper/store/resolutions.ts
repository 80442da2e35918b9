import type { Image } from '../image/image.js';
import type { Reference } from '../image/reference.js';

export interface Resolution {
  /** Of the manifest or index that the registry sent. */
  digest: string;
  /** What the registry called it; undefined if it did not say. */
  mediaType: string | undefined;
}

/** What a registry said, and when. */
export interface Answer extends Resolution {
  /** Milliseconds since 1970-01-01 UTC. */
  resolvedAtMs: number;
}

/** What all steps of a job are held to. */
export interface JobAnswer extends Answer {
  /** Whether the registry was asked within this job. */
  isAsked: boolean;
  /** What the user must hear with it, or "". */
  notice: string;
}

export interface Asker {
  uid: number;
  /** 0 when the caller is not in a job. */
  jobId: number;
}

/** Where answers outlive the daemon; the catalog's methods say more. */
export interface LastingAnswers {
  find(uid: number, canonical: string): Answer | undefined;
  resolved(uid: number, reference: Reference, resolution: Resolution, resolvedAtMs: number): void;
  used(uid: number, reference: Reference, image: Image): void;
}

const mostEntries = 20_000;

/**
 * What references stood for when their users asked. One user's answers are never another's: that a
 * registry showed an image to one says nothing about what it shows to another. Answers that led to an image are in
 * the catalog as well, and outlive the daemon.
 */
export class Resolutions {
  readonly #byUser = new Map<string, Answer>();
  readonly #byJob = new Map<string, JobAnswer>();

  constructor(
    private readonly catalog: LastingAnswers,
    private readonly now: () => number = Date.now,
  ) {}

  /** The answer that this job is held to. */
  ofJob(asker: Asker, reference: Reference): JobAnswer | undefined {
    return asker.jobId === 0 ? undefined : this.#byJob.get(jobKey(asker, reference));
  }

  /** This user's last answer, if it is younger than `ttlMs`; be it for a tag or for a digest. */
  young(asker: Asker, reference: Reference, ttlMs: number): Answer | undefined {
    const answer = this.#byUser.get(userKey(asker, reference)) ?? this.last(asker, reference);
    return answer && this.#isYounger(answer, ttlMs) ? answer : undefined;
  }

  /** The answer that last led this user to an image here, if it is younger than `maxAgeMs`. */
  last({ uid }: Asker, { canonical }: Reference, maxAgeMs = Infinity): Answer | undefined {
    const known = this.catalog.find(uid, canonical);
    if (!known || !this.#isYounger(known, maxAgeMs)) return undefined;
    const { digest, mediaType, resolvedAtMs } = known;
    return { digest, mediaType, resolvedAtMs };
  }

  /** Records what the registry answers now. */
  answered(asker: Asker, reference: Reference, resolution: Resolution): Answer {
    const answer = { ...resolution, resolvedAtMs: this.now() };
    put(this.#byUser, userKey(asker, reference), answer);
    return answer;
  }

  /**
   * Holds the job to an answer. Returns what the caller must use: if another step was faster, that step's answer,
   * unless only this one comes from asking.
   */
  keepForJob(asker: Asker, reference: Reference, answer: JobAnswer): JobAnswer {
    if (asker.jobId === 0) return answer;
    const before = this.ofJob(asker, reference);
    const kept = before && (before.isAsked || !answer.isAsked) ? before : answer;
    put(this.#byJob, jobKey(asker, reference), kept);
    return kept;
  }

  /** The answer led to an image that this user makes use of now. */
  used({ uid }: Asker, reference: Reference, answer: Answer, image: Image): void {
    const known = this.catalog.find(uid, reference.canonical);
    // A job may be held to an answer that is older than what the reference stands for now.
    if (!known || known.resolvedAtMs < answer.resolvedAtMs) {
      this.catalog.resolved(uid, reference, answer, answer.resolvedAtMs);
    }
    this.catalog.used(uid, reference, image);
  }

  /** For an answer that turned out to be of no use: once the image is mended, the registry is asked anew. */
  forget(asker: Asker, reference: Reference): void {
    const key = userKey(asker, reference);
    const useless = this.#byUser.get(key);
    // Not removed, or what came before it would seem young again.
    if (useless) put(this.#byUser, key, { ...useless, resolvedAtMs: -Infinity });
    this.#byJob.delete(jobKey(asker, reference));
  }

  /** A clock that was set back makes nothing young. */
  #isYounger({ resolvedAtMs }: Answer, ms: number): boolean {
    const ageMs = this.now() - resolvedAtMs;
    return ageMs >= 0 && ageMs < ms;
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
