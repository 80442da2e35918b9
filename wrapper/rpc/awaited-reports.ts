const most = 4096;

/**
 * Who may still report that they unpacked what: those who got a plan, once for each plan. Others have nothing to
 * report, and cannot fill the log or spoil the metrics.
 */
export class AwaitedReports {
  readonly #awaited = new Map<string, number>();

  add(uid: number, imageDigest: string): void {
    const key = keyOf(uid, imageDigest);
    const count = this.#awaited.get(key) ?? 0;
    // Once more at the end: the oldest go first.
    this.#awaited.delete(key);
    this.#awaited.set(key, count + 1);
    if (this.#awaited.size > most) this.#awaited.delete(this.#awaited.keys().next().value as string);
  }

  /** Whether such a report was awaited; then one less is. */
  take(uid: number, imageDigest: string): boolean {
    const key = keyOf(uid, imageDigest);
    const count = this.#awaited.get(key);
    if (count === undefined) return false;
    if (count > 1) this.#awaited.set(key, count - 1);
    else this.#awaited.delete(key);
    return true;
  }
}

function keyOf(uid: number, imageDigest: string): string {
  return `${uid} ${imageDigest}`;
}
