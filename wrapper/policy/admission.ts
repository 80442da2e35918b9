import type { LimitsConfig } from '../config/config.js';
import type { OnWait } from '../registry/patience.js';
import { Turns } from './turns.js';

/** Requests that ask registries: so many at once, of all users and of each; the others wait for their turn. */
export class Admission {
  readonly #turns: Turns;
  readonly #running = new Map<number, number>();
  #runningCount = 0;

  constructor(private limits: LimitsConfig) {
    this.#turns = new Turns(limits.requests, limits.requestsPerUser);
  }

  get counts(): { running: number; waiting: number } {
    return { running: this.#runningCount, waiting: this.#turns.waitingCount };
  }

  /**
   * Resolves when it is this caller's turn, to what the caller calls when done. `onWait` hears why it takes long,
   * and "" when that is over. Rejects with the signal's reason.
   */
  async enter(uid: number, signal: AbortSignal, onWait: OnWait): Promise<() => void> {
    const reason = this.#reasonToWait(uid);
    if (reason !== undefined) onWait(`waiting for a turn: ${reason}`);
    const giveBack = await this.#turns.take(uid, signal);
    if (reason !== undefined) onWait('');
    this.#count(uid, 1);
    let isBack = false;
    return () => {
      if (isBack) return;
      isBack = true;
      this.#count(uid, -1);
      giveBack();
    };
  }

  update(limits: LimitsConfig): void {
    this.limits = limits;
    this.#turns.update(limits.requests, limits.requestsPerUser);
  }

  #reasonToWait(uid: number): string | undefined {
    const { requests, requestsPerUser } = this.limits;
    const own = this.#running.get(uid) ?? 0;
    const isFull = this.#runningCount >= requests;
    if (own >= requestsPerUser || (isFull && own === this.#runningCount)) {
      return `you have ${requestsOf(own)} under way on this node`;
    }
    return isFull ? `this node is working on ${requestsOf(this.#runningCount)}` : undefined;
  }

  #count(uid: number, change: number): void {
    this.#runningCount += change;
    const own = (this.#running.get(uid) ?? 0) + change;
    if (own > 0) this.#running.set(uid, own);
    else this.#running.delete(uid);
  }
}

function requestsOf(count: number): string {
  return count === 1 ? 'one request' : `${count} requests`;
}
