/** So many blobs may wait for the disk; who brings more of them waits for the first. */
const mostWaiting = 128;

/**
 * What is to be put on the disk when there is time: one after the other, as each takes a thread of libuv's few from
 * those who write and compute digests.
 */
export class Settling {
  readonly #waiting = new Set<Promise<void>>();
  #last: Promise<void> = Promise.resolve();

  /** Begins `work` when what came before has ended. Resolves at once, or when there is room for more. */
  async add(work: () => Promise<void>): Promise<void> {
    const ended = this.#last.then(work).catch(() => undefined);
    this.#last = ended;
    this.#waiting.add(ended);
    void ended.finally(() => this.#waiting.delete(ended));
    while (this.#waiting.size >= mostWaiting) await [...this.#waiting][0];
  }

  /** Resolves when nothing waits any more. */
  async end(): Promise<void> {
    while (this.#waiting.size > 0) await this.#last;
  }
}
