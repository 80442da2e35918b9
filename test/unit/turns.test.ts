import assert from 'node:assert/strict';
import { setImmediate as soon } from 'node:timers/promises';

import { Turns } from '../../wrapper/policy/turns.js';

const never = new AbortController().signal;

describe('Turns', () => {
  /** Names of those who came to their turn, in order, and what gives each turn back. */
  let served: string[];
  let back: Map<string, () => void>;
  beforeEach(() => {
    served = [];
    back = new Map();
  });

  const ask = (turns: Turns, uid: number, name: string, signal = never): Promise<void> =>
    turns.take(uid, signal).then((giveBack) => {
      served.push(name);
      back.set(name, giveBack);
    });
  const giveBack = async (name: string): Promise<void> => {
    back.get(name)?.();
    await soon();
  };

  it('serves users one after another, and each user in the order of coming', async () => {
    const turns = new Turns(1, 1);
    const all = ['a1', 'a2', 'a3', 'b1', 'c1', 'b2'].map((name) => ask(turns, name.charCodeAt(0), name));
    await soon();
    for (let count = 1; count < all.length; count++) await giveBack(served.at(-1) ?? '');
    await Promise.all(all);
    assert.deepEqual(served, ['a1', 'a2', 'b1', 'c1', 'a3', 'b2']);
  });

  it('gives one user no more than that user may have, though there are turns left', async () => {
    const turns = new Turns(3, 2);
    const waits = ['a1', 'a2', 'a3'].map((name) => ask(turns, 1, name));
    await soon();
    assert.deepEqual(served, ['a1', 'a2']);
    await ask(turns, 2, 'b1');
    await giveBack('b1');
    assert.deepEqual(served, ['a1', 'a2', 'b1'], 'what another gave back is not for who has enough');
    await giveBack('a1');
    await Promise.all(waits);
  });

  it('counts a turn once, however often it is given back', async () => {
    const turns = new Turns(1, 1);
    await ask(turns, 1, 'a1');
    const later = [ask(turns, 2, 'b1'), ask(turns, 3, 'c1')];
    await giveBack('a1');
    await giveBack('a1');
    assert.deepEqual(served, ['a1', 'b1']);
    await giveBack('b1');
    await Promise.all(later);
  });

  it('forgets who gave up waiting, and wakes the next', async () => {
    const turns = new Turns(1, 1);
    await ask(turns, 1, 'a1');
    const gone = new AbortController();
    const refused = assert.rejects(ask(turns, 2, 'b1', gone.signal), /had enough/);
    const next = ask(turns, 2, 'b2');
    assert.equal(turns.waitingCount, 2);
    gone.abort(new Error('had enough'));
    await refused;
    assert.equal(turns.waitingCount, 1);
    await giveBack('a1');
    await next;
    await assert.rejects(turns.take(3, gone.signal), /had enough/);
    assert.equal(turns.waitingCount, 0);
  });

  it('loses no turn, and nobody, among many who come, give up and go', async () => {
    const turns = new Turns(3, 2);
    let most = 0;
    let busy = 0;
    const come = async (index: number): Promise<void> => {
      const gone = new AbortController();
      if (index % 5 === 0) setImmediate(() => gone.abort(new Error('had enough')));
      const done = await turns.take(index % 7, gone.signal).catch(() => undefined);
      if (!done) return;
      most = Math.max(most, ++busy);
      await soon();
      busy--;
      done();
    };
    await Promise.all(Array.from({ length: 500 }, (_, index) => come(index)));
    assert.equal(most, 3);
    assert.equal(turns.waitingCount, 0);
    for (const uid of [1, 2, 3]) assert.ok(turns.takeIfFree(uid), 'all turns are there again');
  });

  it('gives a turn at once only if nobody waits for it', async () => {
    const turns = new Turns(2, 1);
    const first = turns.takeIfFree(1);
    assert.ok(first);
    assert.equal(turns.takeIfFree(1), undefined, 'more than its own');
    await ask(turns, 2, 'b1');
    assert.equal(turns.takeIfFree(3), undefined, 'more than there are');
    const waits = ask(turns, 3, 'c1');
    assert.equal(turns.isWantedBesides(1), true);
    assert.equal(turns.isWantedBesides(3), false);
    first();
    await waits;
    assert.deepEqual(served, ['b1', 'c1']);
  });
});
