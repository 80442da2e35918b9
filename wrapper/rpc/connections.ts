import type { Socket } from 'node:net';

/** Open connections of one socket, so that no single user can take all of them. */
export class Connections {
  readonly #open = new Map<number, Set<Socket>>();
  readonly #full = new Set<number>();

  constructor(
    private readonly mostPerUser: number,
    private readonly most: number,
    /** Called at the first refusal, and then not again until that user has closed all connections. */
    private readonly onFull: (uid: number) => void,
  ) {}

  /** False if the caller has too many already; otherwise the socket is counted until it closes. */
  admit(uid: number, socket: Socket): boolean {
    const own = this.#open.get(uid) ?? new Set();
    if (own.size >= this.mostPerUser || this.#count() >= this.most) {
      if (!this.#full.has(uid)) this.onFull(uid);
      // Who has nothing open will not close anything either, so there is nothing to remember.
      if (own.size > 0) this.#full.add(uid);
      return false;
    }
    own.add(socket);
    this.#open.set(uid, own);
    socket.once('close', () => {
      own.delete(socket);
      if (own.size > 0) return;
      this.#open.delete(uid);
      this.#full.delete(uid);
    });
    return true;
  }

  destroyAll(): void {
    for (const own of this.#open.values()) for (const socket of own) socket.destroy();
  }

  #count(): number {
    let count = 0;
    for (const own of this.#open.values()) count += own.size;
    return count;
  }
}
