import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isRoot, ordinaryUser } from './sandbox.js';

/**
 * A directory that the unpacker's user may write to, beside all the sandboxes. Outside of any suite, these hooks are
 * those of every test.
 */
const canary = path.join(os.tmpdir(), `stowage-unpack-canary-${process.pid}`);
let before_ = '';

const describeCanary = (): string =>
  ['.', ...fs.readdirSync(canary, { recursive: true, encoding: 'utf8' }).sort()]
    .map((name) => {
      const { mode, uid, gid, nlink, size, mtimeMs, ctimeMs } = fs.lstatSync(path.join(canary, name));
      return JSON.stringify({ name, mode, uid, gid, nlink, size, mtimeMs, ctimeMs });
    })
    .join('\n');

before(() => {
  fs.mkdirSync(path.join(canary, 'nest'), { recursive: true });
  fs.writeFileSync(path.join(canary, 'nest/egg'), 'whole', { mode: 0o666 });
  fs.symlinkSync('nest/egg', path.join(canary, 'link'));
  if (isRoot && ordinaryUser)
    for (const name of ['.', 'nest', 'nest/egg', 'link'])
      fs.lchownSync(path.join(canary, name), ordinaryUser.uid, ordinaryUser.gid);
  before_ = describeCanary();
});

afterEach(() => {
  assert.equal(describeCanary(), before_, 'the canary beside the sandboxes has changed');
});

after(() => fs.rmSync(canary, { recursive: true }));
