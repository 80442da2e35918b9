import type { Turns } from '../policy/turns.js';
import type { Waiting } from './patience.js';
import { PartAhead } from './transfer-ahead.js';
import { RangeIgnored, Stretch, type WantedBlob } from './transfer-stretch.js';

/**
 * What one connection delivers when more of them would only cost requests: a registry in the same room does; one
 * behind a wide-area network, or that gives each connection its share, does not.
 */
const fastBytesPerSecond = 50e6;

/** So many parts are asked for at once, by one request, of a registry that is fast enough. */
const partsOfFastStretch = 64;

/** What the last part told of the registry; `whole` if it sent the whole blob instead of a part. */
type Pace = 'unknown' | 'slow' | 'fast' | 'whole';

/**
 * Reads a blob in order, part by part. From a registry that is slow over one connection the parts that follow are
 * fetched meanwhile, as many as there are `windows` to keep them in memory.
 */
export class PartsReader {
  /** In order, the next one first. */
  readonly #ahead: PartAhead[] = [];
  readonly #size: number;
  #at = 0;
  #pace: Pace = 'unknown';

  constructor(
    private readonly blob: WantedBlob,
    private readonly parts: { windows: Turns; partBytes: number },
    private readonly waiting: Waiting,
  ) {
    this.#size = blob.descriptor.size;
  }

  async *bytes(): AsyncGenerator<Buffer> {
    try {
      while (this.#at < this.#size) {
        this.#fetchAhead(this.#at);
        const part = this.#ahead.shift();
        yield* part ? this.#take(part) : this.#stream();
      }
    } finally {
      await this.#dropAhead();
    }
  }

  /** What was fetched, or is being fetched, into memory. */
  async *#take(part: PartAhead): AsyncGenerator<Buffer> {
    try {
      for (const chunk of await part.pieces()) {
        this.#at += chunk.length;
        yield chunk;
      }
      this.#learn(part.bytesPerSecond);
    } catch (error) {
      if (!(error instanceof RangeIgnored)) throw error;
      this.#pace = 'whole';
      await this.#dropAhead();
    } finally {
      await part.drop();
    }
  }

  /** Past memory, straight to the reader. */
  async *#stream(): AsyncGenerator<Buffer> {
    const count = this.#pace === 'fast' ? partsOfFastStretch : 1;
    const end = Math.min(this.#at + count * this.parts.partBytes, this.#size);
    const stretch = new Stretch(this.blob, this.#at, end, this.waiting, 'go-on');
    for await (const chunk of stretch.bytes()) {
      if (stretch.end !== end && this.#pace !== 'whole') {
        this.#pace = 'whole';
        await this.#dropAhead();
      }
      this.#at += chunk.length;
      yield chunk;
      this.#fetchAhead(end);
    }
    this.#learn(stretch.bytesPerSecond);
  }

  #learn(bytesPerSecond: number): void {
    if (this.#pace !== 'whole') this.#pace = bytesPerSecond < fastBytesPerSecond ? 'slow' : 'fast';
  }

  #fetchAhead(after: number): void {
    while (this.#pace === 'slow') {
      const from = this.#ahead.at(-1)?.end ?? after;
      const release = from < this.#size ? this.parts.windows.takeIfFree(this.blob.uid) : undefined;
      if (!release) return;
      const end = Math.min(from + this.parts.partBytes, this.#size);
      this.#ahead.push(new PartAhead(this.blob, from, end, this.waiting, release));
    }
  }

  async #dropAhead(): Promise<void> {
    await Promise.all(this.#ahead.splice(0).map((part) => part.drop()));
  }
}
