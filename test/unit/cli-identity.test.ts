import assert from 'node:assert/strict';

import { parseIdentity } from '../../wrapper/cli/identify.js';

const digest = `sha256:${'0'.repeat(64)}`;
const records = (...lines: string[]): string => lines.map((line) => `${line}\0`).join('');

describe('what stowage-unpack says of a file', () => {
  it('is an archive with its members', () => {
    assert.deepEqual(
      parseIdentity(records('kind=archive', 'member=512 10 index.json', 'member=1024 0 a b=c\n')),
      {
        kind: 'archive',
        members: new Map([
          ['index.json', { offset: 512, size: 10 }],
          ['a b=c\n', { offset: 1024, size: 0 }],
        ]),
      },
    );
  });

  it('is a root file system with its digest', () => {
    assert.deepEqual(parseIdentity(records('kind=cpio', `digest=${digest}`, 'size=5')), {
      kind: 'cpio',
      digest,
      size: 5,
    });
    assert.deepEqual(
      parseIdentity(
        records('kind=sif', `digest=${digest}`, 'size=5', 'offset=1', 'length=3', 'architecture=arm64'),
      ),
      { kind: 'sif', digest, size: 5, squashfs: { offset: 1, size: 3 }, architecture: 'arm64' },
    );
  });

  for (const text of [
    '',
    records('kind=tape', `digest=${digest}`, 'size=5'),
    records('kind=tar', 'digest=md5:0', 'size=5'),
    records('kind=tar', `digest=${digest}`, 'size=-5'),
    records('kind=tar', `digest=${digest}`),
    records('kind=squashfs', `digest=${digest}`, 'size=5'),
    records('kind=archive', 'member=512 index.json'),
  ]) {
    it(`is refused if it makes no sense: ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseIdentity(text), /install both from one release/);
    });
  }
});
