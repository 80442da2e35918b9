import assert from 'node:assert/strict';

import { Quota } from '../../wrapper/rpc/quota.js';

describe('Quota', () => {
  it('leaves room for others when one user wants all', () => {
    const quota = new Quota(3, 2);
    const own = [quota.take(1), quota.take(1), quota.take(1)];
    assert.deepEqual(own.map(Boolean), [true, true, false]);
    assert.ok(quota.take(2));
    assert.equal(quota.take(3), undefined);
    own[0]?.();
    own[0]?.();
    assert.ok(quota.take(3));
    assert.equal(quota.take(3), undefined);
  });

  it('gives all that was asked for, or nothing', () => {
    const quota = new Quota(30, 20);
    const own = quota.take(1, 15);
    assert.equal(quota.take(1, 6), undefined);
    assert.ok(quota.take(1, 5));
    assert.equal(quota.take(2, 11), undefined);
    own?.();
    assert.ok(quota.take(2, 11));
  });
});
