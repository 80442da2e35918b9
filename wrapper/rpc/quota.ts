/** Something that users share and may hold at the same time: so much in all, and so much each. */
export class Quota {
  readonly #ofUser = new Map<number, number>();
  #held = 0;

  constructor(
    private readonly most: number,
    private readonly mostPerUser: number,
  ) {}

  /** What is to be called when it is no longer held, or undefined if that would be too much. */
  take(uid: number, amount = 1): (() => void) | undefined {
    const own = this.#ofUser.get(uid) ?? 0;
    if (own + amount > this.mostPerUser || this.#held + amount > this.most) return undefined;
    this.#add(uid, amount);
    let isBack = false;
    return () => {
      if (!isBack) this.#add(uid, -amount);
      isBack = true;
    };
  }

  #add(uid: number, change: number): void {
    this.#held += change;
    const own = (this.#ofUser.get(uid) ?? 0) + change;
    if (own > 0) this.#ofUser.set(uid, own);
    else this.#ofUser.delete(uid);
  }
}
