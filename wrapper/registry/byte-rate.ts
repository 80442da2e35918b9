import { setTimeout as sleep } from 'node:timers/promises';

/** How long may be saved up: a short pause is made up for, a long one is not. */
const savedSeconds = 1;

/** Keeps several transfers together below a number of bytes per second. */
export class ByteRate {
  #allowance: number;
  #countedAt = performance.now();

  constructor(private bytesPerSecond: number) {
    this.#allowance = bytesPerSecond * savedSeconds;
  }

  /** Takes effect with the next bytes. */
  update(bytesPerSecond: number): void {
    this.bytesPerSecond = bytesPerSecond;
  }

  /** Counts bytes that have come, and resolves when more may be read. Rejects when `signal` aborts. */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const earned = ((now - this.#countedAt) / 1000) * this.bytesPerSecond;
    this.#allowance = Math.min(this.#allowance + earned, this.bytesPerSecond * savedSeconds) - bytes;
    this.#countedAt = now;
    if (this.#allowance >= 0) return;
    // Those who come while this one sleeps go further into debt, and so sleep longer.
    await sleep((-this.#allowance / this.bytesPerSecond) * 1000, undefined, { signal });
  }
}
