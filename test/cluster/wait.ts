import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterError } from './error.js';

export interface WaitOptions {
  /** What did not happen in time, as in "slurmctld did not answer". */
  readonly failure: string;
  readonly timeoutMs: number;
  readonly intervalMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Calls `probe` until it returns something other than undefined or false. */
export const waitFor = async <T>(
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  { failure, timeoutMs, intervalMs = 50, signal }: WaitOptions,
): Promise<T> => {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new ClusterError(`${failure} within ${timeoutMs / 1000} s`);
    await sleep(intervalMs, undefined, { signal });
  }
};
