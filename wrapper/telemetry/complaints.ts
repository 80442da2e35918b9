import type { Log, LogFields } from './log.js';

const quietMs = 600_000;
/** Users times kinds of complaints; more than a node has users who try. */
const mostRemembered = 4096;

/** Says in the log what a user's programs do wrong: each thing once in ten minutes, however often it happens. */
export class Complaints {
  /** When each was written last, oldest first. */
  readonly #written = new Map<string, number>();

  constructor(
    private readonly log: Log,
    private readonly now = () => performance.now(),
  ) {}

  write(uid: number, event: string, fields: LogFields = {}): void {
    const key = `${uid} ${event}`;
    const last = this.#written.get(key);
    if (last !== undefined && this.now() - last < quietMs) return;
    this.#written.delete(key);
    this.#written.set(key, this.now());
    const [oldest] = this.#written.keys();
    if (this.#written.size > mostRemembered && oldest !== undefined) this.#written.delete(oldest);
    this.log.write('warning', event, { uid, ...fields });
  }
}
