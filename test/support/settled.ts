import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until files that were just written are old enough: what stowage-enter finds out about a file is
 * remembered only if it has not changed in the two seconds before, see file_memory.h.
 */
export const untilRemembered = (): Promise<void> => sleep(3000);
