/** What must stay where it is for now, by digest; as often as it was pinned it has to be released. */
export class Pins {
  readonly #counts = new Map<string, number>();

  /** Returns what releases all of them; to call that again does nothing. */
  take(digests: readonly string[]): () => void {
    for (const digest of digests) this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      for (const digest of digests) {
        const count = (this.#counts.get(digest) ?? 1) - 1;
        if (count > 0) this.#counts.set(digest, count);
        else this.#counts.delete(digest);
      }
    };
  }

  has(digest: string): boolean {
    return this.#counts.has(digest);
  }
}
