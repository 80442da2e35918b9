import { addon } from '../addon/addon.js';
import { readMemory } from './read-memory.js';

/** How long nothing must have been transferred. */
const quietMs = 2000;

/**
 * Gives the memory that transfers needed back to the system when they are over. V8 collects buffers when it needs room,
 * which a daemon that waits for the next job does not, and the C library keeps what was freed. The collector is there
 * if Node was started with --expose-gc, as the launcher of stowaged does.
 */
export class IdleMemory {
  #users = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Memory is in use until what this returns is called. */
  use(): () => void {
    clearTimeout(this.#timer);
    this.#users++;
    return () => {
      if (--this.#users === 0) this.#timer = setTimeout(giveBack, quietMs).unref();
    };
  }
}

function giveBack(): void {
  readMemory.clear();
  globalThis.gc?.();
  addon.trimHeap();
}
