import { Draft } from './draft.js';

/** So that nobody's images of many layers take all the descriptors that a process may have. */
const most = 1024;

/** A draft in use; whoever took it releases it once. */
export interface Lease {
  draft: Draft;
  release: () => Promise<void>;
}

interface Entry {
  draft: Draft;
  users: number;
}

/** The drafts of all blobs that are being written, or will be. Each is closed when the last user has gone. */
export class Drafts {
  readonly #open = new Map<string, Entry>();

  /** The draft under `key`, made if there is none. Throws the system's error. */
  take(key: string, directory: string): Lease {
    const entry = this.#open.get(key) ?? { draft: Draft.open(directory), users: 0 };
    this.#open.set(key, entry);
    return this.#lease(key, entry);
  }

  /** The draft under `key` if there is one. */
  hold(key: string): Lease | undefined {
    const entry = this.#open.get(key);
    return entry && this.#lease(key, entry);
  }

  has(key: string): boolean {
    return this.#open.has(key);
  }

  /** Whether there is room for so many that are not needed but of use. */
  hasRoomFor(count: number): boolean {
    return this.#open.size + count <= most;
  }

  #lease(key: string, entry: Entry): Lease {
    entry.users++;
    const release = async (): Promise<void> => {
      if (--entry.users > 0) return;
      this.#open.delete(key);
      await entry.draft.close();
    };
    return { draft: entry.draft, release };
  }
}
