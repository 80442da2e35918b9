import type { Waiting } from './patience.js';
import { readMemory } from './read-memory.js';
import { Stretch, type WantedBlob } from './transfer-stretch.js';

/** A part of a blob that is fetched before its turn in order, and kept in memory until then. */
export class PartAhead {
  readonly #stop = new AbortController();
  readonly #stretch: Stretch;
  readonly #pieces: Promise<Buffer[]>;
  #isAwaited = false;
  #sentence = '';

  /** Begins at once. `release` is called when the memory is no longer needed. */
  constructor(
    blob: WantedBlob,
    readonly from: number,
    readonly end: number,
    private readonly waiting: Waiting,
    private readonly release: () => void,
  ) {
    const signal = AbortSignal.any([waiting.signal, this.#stop.signal]);
    const onWait = (sentence: string): void => {
      this.#sentence = sentence;
      if (this.#isAwaited) waiting.onWait(sentence);
    };
    this.#stretch = new Stretch(blob, from, end, { signal, onWait }, 'refuse');
    this.#pieces = this.#collect();
    // If it fails, whoever comes for it hears that; perhaps nobody does.
    this.#pieces.catch(() => undefined);
  }

  get bytesPerSecond(): number {
    return this.#stretch.bytesPerSecond;
  }

  /** All of the part, in pieces of readMemory. Throws what a Stretch throws. */
  pieces(): Promise<Buffer[]> {
    this.#isAwaited = true;
    if (this.#sentence !== '') this.waiting.onWait(this.#sentence);
    return this.#pieces;
  }

  /** Must be called once, whether the part was wanted or not. Resolves when nothing of it is left. */
  async drop(): Promise<void> {
    this.#stop.abort(new Error('this part is not wanted any more'));
    await this.#pieces.catch(() => undefined);
    this.release();
  }

  /** Packed: each chunk may be a small part of the memory that it holds. */
  async #collect(): Promise<Buffer[]> {
    const pieces: Buffer[] = [];
    let piece: Buffer = Buffer.alloc(0);
    let filledBytes = 0;
    const keep = (): void => {
      if (filledBytes > 0) pieces.push(piece.subarray(0, filledBytes));
    };
    for await (const chunk of this.#stretch.bytes()) {
      for (let at = 0; at < chunk.length;) {
        if (filledBytes === piece.length) {
          keep();
          piece = readMemory.take();
          filledBytes = 0;
        }
        const copied = chunk.copy(piece, filledBytes, at);
        filledBytes += copied;
        at += copied;
      }
      readMemory.giveBack(chunk);
    }
    keep();
    return pieces;
  }
}
