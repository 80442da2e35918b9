import assert from 'node:assert/strict';

import { formatBytes } from '../../wrapper/cli/format.js';
import { ProgressLine } from '../../wrapper/cli/progress-line.js';

describe('progress of stowage', () => {
  let written: string;
  let nowMs: number;
  const line = (terminal: { isTTY?: boolean; columns?: number }, quiet = false): ProgressLine =>
    new ProgressLine({ ...terminal, write: (text: string) => (written += text) }, quiet, () => nowMs);

  beforeEach(() => {
    written = '';
    nowMs = 1000;
  });

  it('changes one line on a terminal, and takes it off in the end', () => {
    const progress = line({ isTTY: true, columns: 80 });
    progress.bytes('unpacking app', 0, 2_000_000);
    nowMs += 50;
    progress.bytes('unpacking app', 500_000, 2_000_000);
    nowMs += 50;
    progress.bytes('unpacking app', 1_000_000, 2_000_000);
    progress.clear();
    progress.clear();
    assert.equal(
      written,
      '\rstowage: unpacking app: 0% of 2.0 MB\u001b[K' +
        '\rstowage: unpacking app: 50% of 2.0 MB, 10.0 MB/s\u001b[K' +
        '\r\u001b[K',
    );
  });

  it('shortens the name on a narrow terminal, and never fills the last column', () => {
    line({ isTTY: true, columns: 40 }).bytes('unpacking something', 1, 2);
    assert.equal(written, '\rstowage: unpacking somethi…: 50% of 2 B\u001b[K');
    assert.equal(written.length, 40 - 1 + '\r\u001b[K'.length);
  });

  it('adds a line every five seconds elsewhere, the first after two', () => {
    const progress = line({});
    for (let second = 0; second <= 12; second++) {
      progress.bytes('downloading app', second * 1e6, 20e6);
      nowMs += 1000;
    }
    assert.deepEqual(written.split('\n'), [
      'stowage: downloading app: 10% of 20.0 MB, 1.0 MB/s',
      'stowage: downloading app: 35% of 20.0 MB, 1.0 MB/s',
      'stowage: downloading app: 60% of 20.0 MB, 1.0 MB/s',
      '',
    ]);
  });

  it('does not count as speed what was there at the start', () => {
    const progress = line({ isTTY: true });
    progress.bytes('downloading app', 10e6, 20e6);
    nowMs += 1000;
    progress.bytes('downloading app', 12e6, 20e6);
    assert.match(written, /60% of 20\.0 MB, 2\.0 MB\/s\u001b\[K$/);
  });

  it('says why nothing moves, escaped, and keeps what stays on lines of its own', () => {
    const progress = line({ isTTY: true });
    progress.waiting('registry x\n is busy');
    progress.waiting('');
    progress.say('two devices were left out');
    assert.equal(
      written,
      '\rstowage: registry x\\u000a is busy\u001b[K\r\u001b[Kstowage: two devices were left out\n',
    );
  });

  it('is silent if told so', () => {
    const progress = line({ isTTY: true }, true);
    progress.bytes('unpacking app', 1, 2);
    progress.waiting('why');
    progress.say('so');
    progress.clear();
    assert.equal(written, '');
  });

  it('writes sizes for people', () => {
    assert.deepEqual([0, 999, 1000, 1_088_370, 999_949_999, 999_950_000, 2 ** 53].map(formatBytes), [
      '0 B',
      '999 B',
      '1.0 kB',
      '1.1 MB',
      '999.9 MB',
      '1.0 GB',
      '9.0 PB',
    ]);
  });
});
