import type { Shelf } from './shelf.js';

/** What is here, counted once at the start, and rid of what nobody can use. */
export class Inventory {
  readonly #stop = new AbortController();
  readonly #counted: Promise<void>;

  /** Begins to count. `isAlone`: no other process uses the directory. */
  constructor(
    private readonly shelf: Shelf,
    isAlone: boolean,
  ) {
    // What cannot be counted now is said when something is asked of the store.
    this.#counted = this.#count(isAlone).catch(() => undefined);
  }

  /** Resolves when everything has been counted. */
  get counted(): Promise<void> {
    return this.#counted;
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the store was closed'));
    await this.#counted;
  }

  /** Removes all blobs that are not in `keep` and that nothing needs now, or only counts them. */
  async removeAllBut(
    keep: Pick<ReadonlySet<string>, 'has'>,
    dryRun: boolean,
  ): Promise<{ blobs: number; bytes: number }> {
    const { shelf } = this;
    return shelf.guard(async () => {
      await this.#counted;
      const removed = { blobs: 0, bytes: 0 };
      await shelf.census.take(async (blob) => {
        if (keep.has(blob.digest) || shelf.pins.has(blob.digest)) return;
        if (!dryRun) await shelf.remove(blob);
        removed.blobs++;
        removed.bytes += blob.bytes;
      });
      return removed;
    });
  }

  /** A store of this process alone is rid of what a crash left: see #removeUnknown. */
  async #count(isAlone: boolean): Promise<void> {
    const { files, provenance, census } = this.shelf;
    const { signal } = this.#stop;
    if (isAlone) await files.tidy();
    await census.take(async ({ digest }) => {
      if (isAlone && !provenance.has(digest)) await this.#removeUnknown(digest);
    }, signal);
    let told = 0;
    if (isAlone && !signal.aborted) for await (const _ of provenance.list()) told++;
    if (told <= census.blobs) return;
    for await (const digest of provenance.list()) {
      if (signal.aborted) return;
      if ((await files.find(digest)) === undefined) await this.#removeUnknown(digest);
    }
  }

  /** A blob that nobody may read, or what is said about a blob that is not here. */
  async #removeUnknown(digest: string): Promise<void> {
    const [blob, scopes] = await this.shelf.find(digest);
    // What is being written just now is pinned.
    if ((blob && scopes.size > 0) || this.shelf.pins.has(digest)) return;
    await this.shelf.remove(blob ?? { digest, bytes: 0 });
  }
}
