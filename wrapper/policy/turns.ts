/**
 * Turns at something of which there is not enough for all: at most `most` at once, `mostPerUser` of them for one
 * user. Who waits is served in the order of coming among one user's own, and users one after another.
 */
export class Turns {
  /** Those who wait, by user; whose turn comes next stands first. */
  readonly #waiting = new Map<number, Set<() => void>>();
  readonly #taken = new Map<number, number>();
  #takenCount = 0;

  constructor(
    private most: number,
    private mostPerUser: number,
  ) {}

  get takenCount(): number {
    return this.#takenCount;
  }

  get waitingCount(): number {
    let count = 0;
    for (const own of this.#waiting.values()) count += own.size;
    return count;
  }

  /** Resolves when it is this user's turn, to what gives it back; rejects with the signal's reason. */
  async take(uid: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const own = this.#waiting.get(uid) ?? new Set();
    this.#waiting.set(uid, own);
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        own.delete(granted);
        if (own.size === 0) this.#waiting.delete(uid);
        reject(signal.reason as Error);
      };
      const granted = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      signal.addEventListener('abort', leave, { once: true });
      own.add(granted);
      this.#serve();
    });
    return this.#givingBack(uid);
  }

  /** A turn that can be had at once, or undefined: never before somebody who waits. */
  takeIfFree(uid: number): (() => void) | undefined {
    if (this.#waiting.has(uid) || !this.#mayTake(uid) || this.isWantedBesides(uid)) return undefined;
    this.#count(uid, 1);
    return this.#givingBack(uid);
  }

  /** Whether another user waits who would get the turn that this one gives back. */
  isWantedBesides(uid: number): boolean {
    for (const other of this.#waiting.keys()) {
      if (other !== uid && (this.#taken.get(other) ?? 0) < this.mostPerUser) return true;
    }
    return false;
  }

  /** Takes effect for those who come to their turn from now on. */
  update(most: number, mostPerUser: number): void {
    [this.most, this.mostPerUser] = [most, mostPerUser];
    this.#serve();
  }

  #givingBack(uid: number): () => void {
    let isBack = false;
    return () => {
      if (isBack) return;
      isBack = true;
      this.#count(uid, -1);
      this.#serve();
    };
  }

  #mayTake(uid: number): boolean {
    return this.#takenCount < this.most && (this.#taken.get(uid) ?? 0) < this.mostPerUser;
  }

  #serve(): void {
    for (const [uid, own] of [...this.#waiting]) {
      if (!this.#mayTake(uid)) continue;
      const [granted] = own;
      if (!granted) continue;
      own.delete(granted);
      this.#waiting.delete(uid);
      // Behind all other users.
      if (own.size > 0) this.#waiting.set(uid, own);
      this.#count(uid, 1);
      granted();
      return this.#serve();
    }
  }

  #count(uid: number, change: number): void {
    this.#takenCount += change;
    const taken = (this.#taken.get(uid) ?? 0) + change;
    if (taken > 0) this.#taken.set(uid, taken);
    else this.#taken.delete(uid);
  }
}
