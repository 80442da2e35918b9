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

/** How somebody waits for a registry. */
export interface Waiting {
  /** Ends the work, by its reason. */
  signal: AbortSignal;
  onWait: OnWait;
}

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
    // Half of the pause is random, so that a thousand nodes do not come back at the same instant; and what a
    // registry asks for is never cut short, but for the cap.
    const jitterMs = (Math.random() * backoffMs) / 2;
    const askedMs = error.retryAfterMs ?? 0;
    const pauseMs = Math.min(Math.max(askedMs, backoffMs / 2) + jitterMs, longestPauseMs);
    const asked = askedMs > longestPauseMs ? `, though it asks for ${seconds(askedMs)} s` : '';
    this.onWait(`${withoutRemedy(error.message)}; trying again in ${seconds(pauseMs)} s${asked}`);
    await sleep(pauseMs, undefined, { signal: this.signal });
    this.onWait('');
  }

  /** Forgets earlier failures; called when real progress was made. */
  reset(): void {
    this.#failures = 0;
  }
}

/** Does one piece of work until it succeeds or its patience ends. */
export async function patiently<T>(
  limits: RetryLimits,
  { signal, onWait }: Waiting,
  attempt: () => Promise<T>,
): Promise<T> {
  const patience = new Patience(limits, signal, onWait);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      await patience.pauseAfter(error);
    }
  }
}

/** The sentence of an error without its last clause, for where something is done about it. */
export function withoutRemedy(message: string): string {
  return message.replace(/; [^;]*$/, '');
}

function seconds(ms: number): number {
  return Math.max(1, Math.round(ms / 1000));
}

/** A century: longer than anybody waits, and still a number that can be reckoned with. */
const longestAskMs = 100 * 365 * 24 * 60 * 60 * 1000;

/** RFC 9110 section 10.2.3: seconds, or a date. Undefined for what is neither, such as a negative number. */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header)) return Math.min(Number(header) * 1000, longestAskMs);
  // Date.parse takes much for a date, "-5" and "1.5" among it.
  const date = / \d\d:\d\d:\d\d(?: |$)/.test(header) ? Date.parse(header) : NaN;
  return Number.isNaN(date) ? undefined : Math.min(Math.max(0, date - nowMs), longestAskMs);
}
