import { setTimeout as sleep } from 'node:timers/promises';

import { RegistryError } from './error.js';

export interface RetryLimits {
  /** Attempts after the first. Sensible: 2-10. */
  retries: number;
  /** First pause; doubled each time. */
  firstPauseMs: number;
  /** Longest pause, and the cap on what a registry may ask for with Retry-After. */
  longestPauseMs: number;
}

/** Told, as a sentence for the user, why nothing moves. */
export type OnWait = (sentence: string) => void;

/** How often, and after what pause, one piece of work is tried again. */
export class Patience {
  #failures = 0;

  constructor(
    private readonly limits: RetryLimits,
    private readonly signal: AbortSignal,
    private readonly onWait: OnWait,
  ) {}

  /** Returns when it is time to try again; throws `error` when it never will be. */
  async pauseAfter(error: unknown): Promise<void> {
    if (!(error instanceof RegistryError) || !error.retryable || this.#failures >= this.limits.retries)
      throw error;
    const { firstPauseMs, longestPauseMs } = this.limits;
    const backoffMs = Math.min(firstPauseMs * 2 ** this.#failures, longestPauseMs);
    this.#failures++;
    // Half of the pause is random, so that a thousand nodes do not come back at the same instant.
    const pauseMs = Math.min(
      error.retryAfterMs ?? backoffMs / 2 + (Math.random() * backoffMs) / 2,
      longestPauseMs,
    );
    this.onWait(
      `${error.message.replace(/; [^;]*$/, '')}; trying again in ${Math.max(1, Math.round(pauseMs / 1000))} s`,
    );
    await sleep(pauseMs, undefined, { signal: this.signal });
    this.onWait('');
  }

  /** Forgets earlier failures; called when real progress was made. */
  reset(): void {
    this.#failures = 0;
  }
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
