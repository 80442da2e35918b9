import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { anchorSources, parseMounts } from '../../wrapper/settings/mount-spec.js';
import type { Refuse } from '../../wrapper/settings/refuse.js';
import { unescapeCell } from '../support/references.js';

const refuse: Refuse = (reason) => {
  throw new Error(reason);
};
const parse = (text: string) => parseMounts(text, refuse);
const one = (text: string) => parse(text)[0] ?? assert.fail();

describe('parseMounts', () => {
  it('reads each part', () => {
    assert.deepEqual(
      parse('/a,./b:/c,tmpfs:/d,umount:/e,../f,~/g:/h,~').map(({ kind, source, target }) => [
        kind,
        source,
        target,
      ]),
      [
        ['bind', '/a', undefined],
        ['bind', './b', '/c'],
        ['tmpfs', '', '/d'],
        ['unmount', '', '/e'],
        ['bind', '../f', undefined],
        ['bind', '~/g', '/h'],
        ['bind', '~', undefined],
      ],
    );
  });

  it('reads flags', () => {
    const { readOnly, noSuid, noDev, noExec, recursive } = one('/a:/b:bind+ro+nosuid+nodev+noexec');
    assert.deepEqual([readOnly, noSuid, noDev, noExec, recursive], [true, true, true, true, false]);
    const plain = one('/a:/b');
    assert.deepEqual(
      [plain.readOnly, plain.noSuid, plain.noDev, plain.noExec, plain.recursive, plain.propagation],
      [false, false, false, false, true, undefined],
    );
  });

  for (const word of ['private', 'slave', 'shared', 'unbindable']) {
    it(`reads ${word} and r${word}`, () => {
      assert.equal(one(`/a:/b:${word}`).propagation, word);
      assert.equal(one(`/a:/b:${word}`).propagationRecursive, false);
      assert.equal(one(`/a:/b:r${word}`).propagation, word);
      assert.equal(one(`/a:/b:r${word}`).propagationRecursive, true);
    });
  }

  it('reads size and mode of a tmpfs', () => {
    assert.equal(one('tmpfs:/t').sizeBytes, undefined);
    assert.equal(one('tmpfs:/t:size=1G+mode=1777').sizeBytes, 1024 ** 3);
    assert.equal(one('tmpfs:/t:size=1G+mode=1777').mode, 0o1777);
    assert.equal(one('tmpfs:/t:size=4096').sizeBytes, 4096);
    assert.equal(one('tmpfs:/t:size=2m').sizeBytes, 2 * 1024 ** 2);
  });

  it('takes any path', () => {
    const { source, target } = one('/a\\:b\\,c\\\\d e:/f\\:g');
    assert.deepEqual([source, target], ['/a:b,c\\d e', '/f:g']);
  });
});

describe('the cases that plugin and daemon agree on', () => {
  const rows = readFileSync('test/support/mounts.tsv', 'utf8')
    .split('\n')
    .filter((row) => row !== '' && row !== '#' && !row.startsWith('# '));
  for (const row of rows) {
    const [text = '', outcome = ''] = row.split('\t').map(unescapeCell);
    it(`${outcome === 'ok' ? 'take' : 'refuse'} ${JSON.stringify(text)}`, () => {
      const reasons: string[] = [];
      const note: Refuse = (reason) => {
        reasons.push(reason);
        throw new Refused();
      };
      try {
        parseMounts(text, note);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
      }
      if (outcome === 'ok') assert.deepEqual(reasons, []);
      else assert.ok(reasons[0]?.includes(outcome), `${reasons[0]} lacks ${outcome}`);
    });
  }
});

class Refused extends Error {}

describe('anchorSources', () => {
  const cases: [string, string][] = [
    ['/a:/b,~/c:/d', '/a:/b,~/c:/d'],
    ['./a:/b:ro', '/here/a:/b:ro'],
    ['../a', '/here/../a'],
    ['.:/b', '/here/:/b'],
    ['tmpfs:/t,umount:/u', 'tmpfs:/t,umount:/u'],
    ['./a\\,b:/c', '/here/a\\,b:/c'],
  ];
  for (const [text, anchored] of cases) {
    it(`of ${text}`, () => assert.equal(anchorSources(text, '/here'), anchored));
  }

  it('writes the directory so that it is one path', () =>
    assert.equal(one(anchorSources('./a:/b', '/x:y,z')).source, '/x:y,z/a'));
});
