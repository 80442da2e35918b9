import assert from 'node:assert/strict';

import { Complaints } from '../../wrapper/telemetry/complaints.js';

describe('Complaints', () => {
  let now = 0;
  const lines: unknown[][] = [];
  const complaints = new Complaints({ write: (...line) => lines.push(line) }, () => now);

  it('are written once in ten minutes for each user and thing', () => {
    for (let i = 0; i < 3; i++) complaints.write(1, 'noise', { message: 'loud' });
    complaints.write(2, 'noise');
    complaints.write(1, 'silence');
    assert.deepEqual(lines.splice(0), [
      ['warning', 'noise', { uid: 1, message: 'loud' }],
      ['warning', 'noise', { uid: 2 }],
      ['warning', 'silence', { uid: 1 }],
    ]);
    now += 600_001;
    complaints.write(1, 'noise');
    assert.equal(lines.splice(0).length, 1);
  });

  it('are not written of what happens now and then', () => {
    for (let i = 0; i < 3; i++) complaints.write(1, 'hiccup', {}, 3);
    assert.deepEqual(lines, []);
    for (let i = 0; i < 3; i++) complaints.write(1, 'hiccup', {}, 3);
    assert.deepEqual(lines.splice(0), [['warning', 'hiccup', { uid: 1 }]]);
    now += 600_001;
    for (let i = 0; i < 3; i++) complaints.write(1, 'hiccup', {}, 3);
    assert.deepEqual(lines, []);
    complaints.write(1, 'hiccup');
    assert.equal(lines.length, 1, 'of what else is not tolerated they are');
  });
});
