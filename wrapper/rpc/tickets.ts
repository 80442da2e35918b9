import { randomBytes } from 'node:crypto';

export const ticketBytes = 32;
const mostPerUser = 256;

/** What a ticket opens; it is let go when the ticket can no longer be redeemed. */
export interface Redeemable {
  release: () => void;
}

interface Ticket<Content> {
  uid: number;
  content: Content;
  expiry: NodeJS.Timeout;
}

/** Tickets for `Content`: each opens what it was issued for, to the user it was issued to, once, for a minute. */
export class Tickets<Content extends Redeemable> {
  /** The oldest first. */
  readonly #open = new Map<string, Ticket<Content>>();

  constructor(private readonly lifetimeMs = 60_000) {}

  /** The oldest tickets of a user who hoards them are dropped. */
  issue(uid: number, content: Content): Buffer {
    const own = [...this.#open].filter(([, ticket]) => ticket.uid === uid);
    for (const [key] of own.slice(0, Math.max(0, own.length - mostPerUser + 1))) this.#drop(key);
    const bytes = randomBytes(ticketBytes);
    const key = bytes.toString('hex');
    const expiry = setTimeout(() => this.#drop(key), this.lifetimeMs);
    // Nothing of a ticket outlives the process, so none keeps it alive.
    expiry.unref();
    this.#open.set(key, { uid, content, expiry });
    return bytes;
  }

  /**
   * What a ticket stands for; undefined if it is no ticket, not this user's, used or too old. It is the caller's to
   * release.
   */
  redeem(uid: number, bytes: Uint8Array): Content | undefined {
    const key = Buffer.from(bytes).toString('hex');
    const ticket = this.#open.get(key);
    // Left in place for its owner: a stranger who guesses must not be able to spend it.
    if (ticket?.uid !== uid) return undefined;
    this.#open.delete(key);
    clearTimeout(ticket.expiry);
    return ticket.content;
  }

  #drop(key: string): void {
    const ticket = this.#open.get(key);
    if (!ticket) return;
    this.#open.delete(key);
    clearTimeout(ticket.expiry);
    ticket.content.release();
  }
}
