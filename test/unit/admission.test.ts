import assert from 'node:assert/strict';

import { Admission } from '../../wrapper/policy/admission.js';

describe('Admission', () => {
  const never = new AbortController().signal;
  const [ann, bob, eve] = [1000, 1001, 1002];
  let order: string[];
  let admission: Admission;
  const enter = async (uid: number, name: string, signal = never): Promise<() => void> => {
    const leave = await admission.enter(uid, signal, (sentence) => order.push(`${name} hears "${sentence}"`));
    order.push(name);
    return leave;
  };
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  beforeEach(() => {
    order = [];
    admission = new Admission({ requests: 3, requestsPerUser: 2 });
  });

  it('lets a user have so many at once, says why others wait, and lets them in later', async () => {
    const first = await enter(ann, 'ann 1');
    await enter(ann, 'ann 2');
    const third = enter(ann, 'ann 3');
    await enter(bob, 'bob 1');
    await settled();
    const sentence = 'waiting for a turn: you have 2 requests under way on this node';
    assert.deepEqual(order, ['ann 1', 'ann 2', `ann 3 hears "${sentence}"`, 'bob 1']);
    assert.deepEqual(admission.counts, { running: 3, waiting: 1 });
    first();
    await third;
    assert.deepEqual(order.slice(4), ['ann 3 hears ""', 'ann 3']);
  });

  it('serves users in turn, whoever of them has asked most', async () => {
    admission = new Admission({ requests: 1, requestsPerUser: 1 });
    let leave = await enter(eve, 'eve 1');
    const waiting = ['eve 2', 'eve 3', 'ann 1', 'ann 2', 'bob 1'].map(async (name) => {
      leave = await enter({ ann, bob, eve }[name.slice(0, 3) as 'ann'], name);
    });
    await settled();
    assert.match(order[1] ?? '', /waiting for a turn: you have one request under way/);
    assert.match(order[3] ?? '', /this node is working on one request/);
    for (const _ of waiting) {
      leave();
      await settled();
    }
    await Promise.all(waiting);
    assert.deepEqual(
      order.filter((name) => !name.includes('hears')),
      ['eve 1', 'eve 2', 'ann 1', 'bob 1', 'eve 3', 'ann 2'],
    );
  });

  it('forgets who goes away while waiting', async () => {
    admission = new Admission({ requests: 1, requestsPerUser: 1 });
    const leave = await enter(ann, 'ann 1');
    const gone = new AbortController();
    const waiting = enter(bob, 'bob 1', gone.signal);
    gone.abort(new Error('gone'));
    await assert.rejects(waiting, /gone/);
    assert.deepEqual(admission.counts, { running: 1, waiting: 0 });
    leave();
    leave();
    await enter(eve, 'eve 1');
    assert.deepEqual(admission.counts, { running: 1, waiting: 0 });
  });

  it('lets more in when the limits are raised', async () => {
    await enter(ann, 'ann 1');
    await enter(ann, 'ann 2');
    const third = enter(ann, 'ann 3');
    admission.update({ requests: 3, requestsPerUser: 3 });
    await third;
  });
});
