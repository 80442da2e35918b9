import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { ticketBytes, Tickets } from '../../wrapper/rpc/tickets.js';

describe('Tickets', () => {
  let released: string[];
  let tickets: Tickets<{ name: string; release: () => void }>;
  const of = (name: string) => ({ name, release: () => void released.push(name) });
  beforeEach(() => {
    released = [];
    tickets = new Tickets();
  });

  it('open once, for their owner, who then lets go of what they stand for', () => {
    const ticket = tickets.issue(1000, of('a'));
    assert.equal(ticket.length, ticketBytes);
    assert.equal(tickets.redeem(1000, ticket)?.name, 'a');
    assert.equal(tickets.redeem(1000, ticket), undefined);
    assert.deepEqual(released, []);
  });

  it('do not open for another user, and are not spent by the attempt', () => {
    const ticket = tickets.issue(1000, of('a'));
    assert.equal(tickets.redeem(1001, ticket), undefined);
    assert.equal(tickets.redeem(0, ticket), undefined);
    assert.equal(tickets.redeem(1000, ticket)?.name, 'a');
  });

  it('do not open when they are too old, and let go by themselves', async () => {
    tickets = new Tickets(20);
    const [redeemed, old] = [tickets.issue(1000, of('redeemed')), tickets.issue(1000, of('old'))];
    assert.ok(tickets.redeem(1000, redeemed));
    while (released.length === 0) await sleep(5);
    assert.equal(tickets.redeem(1000, old), undefined);
    await sleep(30);
    assert.deepEqual(released, ['old']);
  });

  it('cannot be guessed from one another, nor be empty', () => {
    assert.notDeepEqual(tickets.issue(1000, of('a')), tickets.issue(1000, of('a')));
    assert.equal(tickets.redeem(1000, Buffer.alloc(0)), undefined);
    assert.equal(tickets.redeem(1000, Buffer.alloc(ticketBytes)), undefined);
  });

  it('of a user who hoards them give way, the oldest first, and nobody else is hurt', () => {
    const other = tickets.issue(1001, of('other'));
    const first = tickets.issue(1000, of('first'));
    const later = Array.from({ length: 256 }, () => tickets.issue(1000, of('later')));
    assert.equal(tickets.redeem(1000, first), undefined);
    assert.deepEqual(released, ['first']);
    assert.ok(later.every((ticket) => tickets.redeem(1000, ticket)));
    assert.ok(tickets.redeem(1001, other));
  });
});
