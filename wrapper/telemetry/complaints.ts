import type { Log, LogFields } from './log.js';

const quietMs = 600_000;
/** Users times kinds of complaints; more than a node has users who try. */
const mostRemembered = 4096;

interface Seen {
  /** The first time within these ten minutes. */
  sinceMs: number;
  times: number;
  isWritten: boolean;
}

/** Says in the log what a user's programs do wrong: each thing once in ten minutes, however often it happens. */
export class Complaints {
  /** Oldest first. */
  readonly #seen = new Map<string, Seen>();

  constructor(
    private readonly log: Log,
    private readonly now = () => performance.now(),
  ) {}

  /** What happens by itself now and then is only worth a line when it has happened more than `tolerated` times. */
  write(uid: number, event: string, fields: LogFields = {}, tolerated = 0): void {
    const seen = this.#remember(`${uid} ${event}`);
    seen.times++;
    if (seen.isWritten || seen.times <= tolerated) return;
    seen.isWritten = true;
    this.log.write('warning', event, { uid, ...fields });
  }

  #remember(key: string): Seen {
    const known = this.#seen.get(key);
    if (known && this.now() - known.sinceMs < quietMs) return known;
    const seen = { sinceMs: this.now(), times: 0, isWritten: false };
    this.#seen.delete(key);
    this.#seen.set(key, seen);
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > mostRemembered && oldest !== undefined) this.#seen.delete(oldest);
    return seen;
  }
}
