import assert from 'node:assert/strict';

import { ticketBytes, Tickets } from '../../wrapper/rpc/tickets.js';

describe('Tickets', () => {
  let now = 0;
  let tickets: Tickets<string[]>;
  beforeEach(() => {
    now = 0;
    tickets = new Tickets(() => now);
  });

  it('open once, for their owner', () => {
    const ticket = tickets.issue(1000, ['a', 'b']);
    assert.equal(ticket.length, ticketBytes);
    assert.deepEqual(tickets.redeem(1000, ticket), ['a', 'b']);
    assert.equal(tickets.redeem(1000, ticket), undefined);
  });

  it('do not open for another user, and are not spent by the attempt', () => {
    const ticket = tickets.issue(1000, ['a']);
    assert.equal(tickets.redeem(1001, ticket), undefined);
    assert.equal(tickets.redeem(0, ticket), undefined);
    assert.deepEqual(tickets.redeem(1000, ticket), ['a']);
  });

  it('do not open after a minute', () => {
    const [young, old] = [tickets.issue(1000, ['a']), tickets.issue(1000, ['a'])];
    now = 59_999;
    assert.ok(tickets.redeem(1000, young));
    now = 60_000;
    assert.equal(tickets.redeem(1000, old), undefined);
  });

  it('cannot be guessed from one another, nor be empty', () => {
    assert.notDeepEqual(tickets.issue(1000, ['a']), tickets.issue(1000, ['a']));
    assert.equal(tickets.redeem(1000, Buffer.alloc(0)), undefined);
    assert.equal(tickets.redeem(1000, Buffer.alloc(ticketBytes)), undefined);
  });

  it('of a user who hoards them give way, the oldest first, and nobody else is hurt', () => {
    const other = tickets.issue(1001, ['a']);
    const first = tickets.issue(1000, ['a']);
    const later = Array.from({ length: 256 }, () => tickets.issue(1000, ['a']));
    assert.equal(tickets.redeem(1000, first), undefined);
    assert.ok(later.every((ticket) => tickets.redeem(1000, ticket)));
    assert.ok(tickets.redeem(1001, other));
  });
});
