import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { addon } from '../addon/addon.js';
import { descriptorOf } from './peer.js';
import { Quota } from './quota.js';

/** Of one user: four images of as many layers as one may have, at the same moment. */
const mostOfUser = 512;
const shortestLookMs = 1;
const longestLookMs = 1000;

/**
 * Descriptors that were sent and not received. The kernel allows the sender, which is this daemon for all users, no more
 * of them than it may have open files (unix(7), ETOOMANYREFS), and nobody can call them back: not even closing the
 * connection ends their flight. So each user may have few, and who does not receive them gets no more.
 */
export class DescriptorsInFlight {
  readonly #quota = new Quota(Infinity, Math.min(mostOfUser, openFilesLimit() / 4));

  /** `onFull` hears who has too many. */
  constructor(private readonly onFull: (uid: number) => void) {}

  /** What is to be called when all have been received, or undefined if this user has too many already. */
  begin(uid: number, count: number): (() => void) | undefined {
    const landed = this.#quota.take(uid, count);
    if (!landed) this.onFull(uid);
    return landed;
  }

  /** Resolves when the other side has received what was sent, or has closed the connection, however long it takes. */
  async wait(socket: Socket): Promise<void> {
    for (let ms = shortestLookMs; !socket.destroyed; ms = Math.min(2 * ms, longestLookMs)) {
      if (addon.unreceivedBytes(descriptorOf(socket)) === 0) return;
      await sleep(ms, undefined, { ref: false });
    }
  }
}

/** proc_pid_limits(5); Node has raised it as far as it may. */
function openFilesLimit(): number {
  const [, limit] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
  return limit === undefined ? Infinity : Number(limit);
}
