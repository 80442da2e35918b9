import assert from 'node:assert/strict';

import { addon } from '../../wrapper/addon/addon.js';
import { syncDirectory } from '../../wrapper/store/sync-directory.js';

describe('syncDirectory', () => {
  const original = addon.syncDirectory.bind(addon);
  let begun: { path: string; end: () => void; fail: (error: Error) => void }[];
  beforeEach(() => {
    begun = [];
    addon.syncDirectory = (path) =>
      new Promise((resolve, reject) => {
        begun.push({ path, end: resolve, fail: reject });
      });
  });
  afterEach(() => (addon.syncDirectory = original));

  it('lets those who ask during one call share the next one, and not that one', async () => {
    const first = syncDirectory('/a');
    const others = [syncDirectory('/a'), syncDirectory('/a'), syncDirectory('/b')];
    assert.deepEqual(
      begun.map(({ path }) => path),
      ['/a', '/b'],
    );
    let isDone = false;
    void Promise.all(others).then(() => (isDone = true));
    begun[0]?.end();
    begun[1]?.end();
    await first;
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(begun.length, 3);
    assert.equal(isDone, false);
    begun[2]?.end();
    await Promise.all(others);
    const later = syncDirectory('/a');
    assert.equal(begun.length, 4);
    begun[3]?.end();
    await later;
  });

  it('tells of a failure those whose call it was, and tries again for the others', async () => {
    const first = syncDirectory('/a');
    const second = syncDirectory('/a');
    begun[0]?.fail(new Error('EIO'));
    await assert.rejects(first, /EIO/);
    await new Promise((resolve) => setImmediate(resolve));
    begun[1]?.end();
    await second;
  });

  it('says which call of the system failed, and where', async () => {
    const path = '/proc/none';
    await assert.rejects(original(path), { code: 'ENOENT', syscall: 'open', path });
    await assert.rejects(original('/proc'), { code: 'EINVAL', syscall: 'fsync', path: '/proc' });
  });
});
