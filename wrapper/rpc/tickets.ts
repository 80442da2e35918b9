import { randomBytes } from 'node:crypto';

export const ticketBytes = 32;
const lifetimeMs = 60_000;
const mostPerUser = 256;

interface Ticket<Content> {
  uid: number;
  content: Content;
  expiresAtMs: number;
}

/** Tickets for `Content`: each opens what it was issued for, to the user it was issued to, once, for a minute. */
export class Tickets<Content> {
  readonly #open = new Map<string, Ticket<Content>>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** The oldest tickets of a user who hoards them are dropped. */
  issue(uid: number, content: Content): Buffer {
    this.#sweep(uid);
    const ticket = randomBytes(ticketBytes);
    this.#open.set(ticket.toString('hex'), { uid, content, expiresAtMs: this.now() + lifetimeMs });
    return ticket;
  }

  /** What a ticket stands for; undefined if it is no ticket, not this user's, used or too old. */
  redeem(uid: number, bytes: Uint8Array): Content | undefined {
    const key = Buffer.from(bytes).toString('hex');
    const ticket = this.#open.get(key);
    // Left in place for its owner: a stranger who guesses must not be able to spend it.
    if (ticket?.uid !== uid) return undefined;
    this.#open.delete(key);
    return ticket.expiresAtMs > this.now() ? ticket.content : undefined;
  }

  #sweep(uid: number): void {
    const now = this.now();
    const own: string[] = [];
    for (const [key, ticket] of this.#open) {
      if (ticket.expiresAtMs <= now) this.#open.delete(key);
      else if (ticket.uid === uid) own.push(key);
    }
    for (const key of own.slice(0, Math.max(0, own.length - mostPerUser + 1))) this.#open.delete(key);
  }
}
