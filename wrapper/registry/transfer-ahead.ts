import type { Waiting } from './patience.js';
import { Stretch, type WantedBlob } from './transfer-stretch.js';

/** A part of a blob that is fetched before its turn in order, and kept in memory until then. */
export class PartAhead {
  readonly #stop = new AbortController();
  readonly #stretch: Stretch;
  readonly #chunks: Promise<Buffer[]>;
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
    this.#chunks = this.#collect();
    // If it fails, whoever comes for it hears that; perhaps nobody does.
    this.#chunks.catch(() => undefined);
  }

  get bytesPerSecond(): number {
    return this.#stretch.bytesPerSecond;
  }

  /** All of the part. Throws what a Stretch throws. */
  chunks(): Promise<Buffer[]> {
    this.#isAwaited = true;
    if (this.#sentence !== '') this.waiting.onWait(this.#sentence);
    return this.#chunks;
  }

  /** Must be called once, whether the part was wanted or not. Resolves when nothing of it is left. */
  async drop(): Promise<void> {
    this.#stop.abort(new Error('this part is not wanted any more'));
    await this.#chunks.catch(() => undefined);
    this.release();
  }

  async #collect(): Promise<Buffer[]> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.#stretch.bytes()) chunks.push(chunk);
    return chunks;
  }
}
