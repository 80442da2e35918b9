import { algorithms } from '../image/digest.js';
import type { BlobFiles, StoredBlob } from './blob-files.js';

/** Looks at so many files at once: the rest of libuv's four threads are for those who wait for something. */
const lookers = 2;

/** How many blobs there are, and how large. Counts along, and anew whenever it looks at all of them. */
export class Census {
  #blobs = 0;
  #bytes = 0;
  readonly #arrivals = new Map<string, { expected: number; wasSkipped: boolean }>();
  #look: Look | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly files: BlobFiles) {}

  get blobs(): number {
    return this.#blobs;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A blob is on its way; what is returned is called when it has come, or not. Until then nobody can tell whether
   * a file of that name was counted.
   */
  coming(digest: string, bytes: number): (isNew: boolean) => void {
    const arrival = this.#arrivals.get(digest) ?? { expected: 0, wasSkipped: false };
    arrival.expected++;
    this.#arrivals.set(digest, arrival);
    return (isNew) => {
      if (--arrival.expected === 0) this.#arrivals.delete(digest);
      if (isNew || arrival.wasSkipped) this.#came(digest, bytes);
      arrival.wasSkipped = false;
    };
  }

  #came(digest: string, bytes: number): void {
    this.#blobs++;
    this.#bytes += bytes;
    this.#look?.count(digest, bytes);
  }

  went(digest: string, bytes: number): void {
    this.#blobs = Math.max(0, this.#blobs - 1);
    this.#bytes = Math.max(0, this.#bytes - bytes);
    this.#look?.discount(digest, bytes);
  }

  /**
   * Shows all blobs to `visit`, in no order, one after the other. Takes seconds for 100,000 of them, without
   * keeping others from working and without keeping them all in memory. Ends early when the signal aborts.
   */
  take(visit: (blob: StoredBlob) => unknown, signal?: AbortSignal): Promise<void> {
    const turn = this.#turn.then(() => this.#take(visit, signal));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #take(visit: (blob: StoredBlob) => unknown, signal: AbortSignal | undefined): Promise<void> {
    const look = (this.#look = new Look());
    try {
      for (const algorithm of algorithms) {
        const digests = this.files.list(algorithm);
        const walk = async (): Promise<void> => {
          for (;;) {
            const next = await digests.next();
            if (next.done || signal?.aborted) return;
            const blob = await this.files.find(next.value);
            if (!blob) continue;
            const arrival = this.#arrivals.get(blob.digest);
            if (arrival) arrival.wasSkipped = true;
            else look.count(blob.digest, blob.bytes);
            await visit(blob);
          }
        };
        await Promise.all(Array.from({ length: lookers }, walk));
      }
      if (!signal?.aborted) [this.#blobs, this.#bytes] = [look.blobs, look.bytes];
    } finally {
      this.#look = undefined;
    }
  }
}

/** One look at all blobs, while some of them come and go. */
class Look {
  blobs = 0;
  bytes = 0;
  readonly #seen = new Set<number>();

  count(digest: string, bytes: number): void {
    const key = shortOf(digest);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.blobs++;
    this.bytes += bytes;
  }

  discount(digest: string, bytes: number): void {
    if (!this.#seen.delete(shortOf(digest))) return;
    this.blobs--;
    this.bytes -= bytes;
  }
}

/** 48 bits of it: a hundred thousand numbers take a tenth of the memory of as many digests. */
function shortOf(digest: string): number {
  return Number.parseInt(digest.slice(digest.indexOf(':') + 1, digest.indexOf(':') + 13), 16);
}
