export interface ExchangeCount {
  method: string;
  /** "2xx", or "none" if no answer came. */
  status: string;
  count: number;
}

/** How many requests were sent, by method and class of the answer. */
export class ExchangeCounts {
  readonly #counts = new Map<string, ExchangeCount>();

  /** `status` is undefined if no answer came. */
  count(method: string, status: number | undefined): void {
    const classOf = status === undefined ? 'none' : `${Math.floor(status / 100)}xx`;
    const key = `${method} ${classOf}`;
    const known = this.#counts.get(key) ?? { method, status: classOf, count: 0 };
    known.count++;
    this.#counts.set(key, known);
  }

  list(): readonly ExchangeCount[] {
    return [...this.#counts.values()];
  }
}
