import { algorithms } from '../image/digest.js';
import type { BlobFiles, StoredBlob } from './blob-files.js';

/** Looks at so many files at once: the rest of libuv's four threads are for those who wait for something. */
const lookers = 2;

/** How many blobs there are, and how large. Counts along, and anew whenever it looks at all of them. */
export class Census {
  #blobs = 0;
  #bytes = 0;
  /** What came, with its size, or went, as 0, while all of them are looked at. */
  #changed: Map<string, number> | undefined;
  #counting: Promise<StoredBlob[]> | undefined;

  constructor(private readonly files: BlobFiles) {}

  get blobs(): number {
    return this.#blobs;
  }

  get bytes(): number {
    return this.#bytes;
  }

  came(digest: string, bytes: number): void {
    this.#blobs++;
    this.#bytes += bytes;
    this.#changed?.set(digest, bytes);
  }

  went(digest: string, bytes: number): void {
    this.#blobs = Math.max(0, this.#blobs - 1);
    this.#bytes = Math.max(0, this.#bytes - bytes);
    this.#changed?.set(digest, 0);
  }

  /** All blobs, in no order. Takes seconds for 100,000 of them, without keeping anybody from working. */
  take(): Promise<StoredBlob[]> {
    return (this.#counting ??= this.#count().finally(() => (this.#counting = undefined)));
  }

  async #count(): Promise<StoredBlob[]> {
    const changed = (this.#changed = new Map<string, number>());
    try {
      const digests: string[] = [];
      for (const algorithm of algorithms) digests.push(...(await this.files.list(algorithm)));
      const found: StoredBlob[] = [];
      const queue = digests.values();
      const look = async (): Promise<void> => {
        for (const digest of queue) {
          const blob = await this.files.find(digest);
          if (blob) found.push(blob);
        }
      };
      await Promise.all(Array.from({ length: lookers }, look));
      const settled = found.filter(({ digest }) => !changed.has(digest));
      const come = [...changed].filter(([, bytes]) => bytes > 0);
      this.#blobs = settled.length + come.length;
      this.#bytes = sum(settled.map(({ bytes }) => bytes)) + sum(come.map(([, bytes]) => bytes));
      return settled;
    } finally {
      this.#changed = undefined;
    }
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
