import assert from 'node:assert/strict';

import { formatSpan } from '../../wrapper/cli/format.js';
import { describeStatus, readStatus } from '../../wrapper/cli/node-status.js';
import { imageRow } from '../../wrapper/cli/stored-images.js';
import { formatTable } from '../../wrapper/cli/table.js';

describe('what stowage prints for people', () => {
  for (const [seconds, text] of [
    [-5, '0 seconds'],
    [0, '0 seconds'],
    [1, '1 second'],
    [59.9, '59 seconds'],
    [60, '1 minute'],
    [7199, '1 hour'],
    [7200, '2 hours'],
    [86_400, '1 day'],
    [40 * 86_400, '40 days'],
  ] as const) {
    it(`calls ${seconds} s "${text}"`, () => {
      assert.equal(formatSpan(seconds), text);
    });
  }

  it('aligns columns with two spaces and escapes control characters', () => {
    const table = formatTable(
      ['NAME', 'SIZE', ''],
      [
        ['a', '1.0 kB', ''],
        ['b\u001b[31m', '12.0 kB', 'x'],
      ],
    );
    assert.equal(table, 'NAME         SIZE\n' + 'a            1.0 kB\n' + 'b\\u001b[31m  12.0 kB  x\n');
  });

  it('shows an image that was not read yet without what is unknown', () => {
    const time = '2026-11-22T05:00:00.000Z';
    const image = {
      ...{ reference: 'docker.io/library/x:1', digest: null, size_bytes: 0, present_bytes: 0 },
      ...{ resolved: time, used: time, uid: 7 },
    };
    assert.deepEqual(imageRow(image, true, Date.parse(time) + 7_200_000), [
      ...['docker.io/library/x:1', '-', '-', '-', '2 hours ago', '7'],
    ]);
  });

  it('says once what is wrong with the shared store', () => {
    const problem = 'the shared image store /scratch/x is not used for now: it belongs to uid 0';
    const store = { directory: '/var/lib/stowage', sharedDirectory: '/scratch/x', sharedProblem: problem };
    const text = describeStatus(readStatus({ server: {}, store }, '/s'), Date.now());
    assert.match(text, new RegExp(`^shared +${problem}$`, 'm'));
  });
});
