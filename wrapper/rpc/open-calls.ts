/** Counts calls that are open, so that no user has so many that the daemon's memory goes to them. */
export class OpenCalls {
  readonly #ofUser = new Map<number, number>();
  #count = 0;

  constructor(
    private readonly most: number,
    private readonly mostPerUser: number,
  ) {}

  /** What is to be called once when the call is over, or undefined if there are too many. */
  begin(uid: number): (() => void) | undefined {
    const own = this.#ofUser.get(uid) ?? 0;
    if (own >= this.mostPerUser || this.#count >= this.most) return undefined;
    this.#add(uid, 1);
    let isOver = false;
    return () => {
      if (!isOver) this.#add(uid, -1);
      isOver = true;
    };
  }

  #add(uid: number, change: number): void {
    this.#count += change;
    const own = (this.#ofUser.get(uid) ?? 0) + change;
    if (own > 0) this.#ofUser.set(uid, own);
    else this.#ofUser.delete(uid);
  }
}
