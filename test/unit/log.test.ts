import assert from 'node:assert/strict';
import { fstatSync } from 'node:fs';

import { leadsToJournal, logTo, redact } from '../../wrapper/telemetry/log.js';
import { Stopwatch } from '../../wrapper/telemetry/stopwatch.js';

describe('log', () => {
  it('writes one JSON object per line, whatever the text holds', () => {
    const lines: string[] = [];
    logTo((line) => lines.push(line)).write('warning', 'refused', {
      message: 'a\nb"',
      uid: 1000,
      ms: { total: 3 },
    });
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.split('\n').length, 2);
    const { time, ...rest } = JSON.parse(lines.join()) as Record<string, unknown>;
    assert.deepEqual(rest, {
      level: 'warning',
      event: 'refused',
      message: 'a\nb"',
      uid: 1000,
      ms: { total: 3 },
    });
    assert.ok(!Number.isNaN(Date.parse(String(time))));
  });

  it('knows whether it leads to the journal', () => {
    const { dev, ino } = fstatSync(2);
    assert.ok(leadsToJournal(2, `${dev}:${ino}`));
    // Inherited by a program whose output goes elsewhere.
    assert.ok(!leadsToJournal(2, `${dev}:${ino + 1}`));
    assert.ok(!leadsToJournal(2, ''));
  });

  it('shows no credentials', () => {
    const lines: string[] = [];
    logTo((line) => lines.push(line)).write('info', 'x', { image: 'https://user:pw@host/x' });
    assert.doesNotMatch(lines.join(), /pw/);
    assert.equal(redact('GET https://user:pw@host/x'), 'GET https://***@host/x');
    assert.equal(redact('authorization: Bearer abcdefgh.ijkl-mn'), 'authorization: Bearer ***');
    assert.equal(redact('image ubuntu@sha256:abc of //host/x@y'), 'image ubuntu@sha256:abc of //host/x@y');
  });
});

describe('Stopwatch', () => {
  it('times phases that fail as well', async () => {
    const stopwatch = new Stopwatch();
    await assert.rejects(stopwatch.time('download', () => Promise.reject(new Error('x'))));
    assert.deepEqual(Object.keys(stopwatch.phasesMs), ['download']);
  });
});
