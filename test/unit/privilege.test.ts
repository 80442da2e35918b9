import assert from 'node:assert/strict';

import { admitCaller } from '../../wrapper/policy/caller.js';
import { refusePrivilege } from '../../wrapper/policy/privilege.js';

const status = (uids: string, effective: string, permitted: string): string =>
  `Name:\tnode\nUid:\t${uids}\nCapPrm:\t${permitted}\nCapEff:\t${effective}\n`;
const none = '0000000000000000';

describe('privilege', () => {
  it('is not there for an ordinary user', () => {
    assert.doesNotThrow(() => refusePrivilege(status('998\t998\t998\t998', none, none)));
  });

  for (const uids of ['0\t0\t0\t0', '998\t0\t998\t998', '998\t998\t0\t998', '']) {
    it(`is refused as uids ${JSON.stringify(uids)}`, () => {
      assert.throws(() => refusePrivilege(status(uids, none, none)), /does not run as root/);
    });
  }

  it('is refused as a capability, effective or in reserve', () => {
    const one = '0000000000000080';
    assert.throws(
      () => refusePrivilege(status('998\t998\t998\t998', one, one)),
      /CapEff is 0000000000000080/,
    );
    assert.throws(
      () => refusePrivilege(status('998\t998\t998\t998', none, one)),
      /CapPrm is 0000000000000080/,
    );
  });
});

describe('admitCaller', () => {
  it('keeps a single-user daemon to its user', () => {
    assert.doesNotThrow(() => admitCaller('single-user', 1000, 1000));
    assert.throws(() => admitCaller('single-user', 0, 1000), { code: 'caller-denied' });
  });

  it('lets everybody use a service', () => assert.doesNotThrow(() => admitCaller('service', 1001, 998)));
});
