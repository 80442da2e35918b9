import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { statusOfCode } from '../../wrapper/rpc/status.js';

describe('docs/errors.md', () => {
  it('explains every code, and no other', () => {
    const rows = readFileSync('docs/errors.md', 'utf8').matchAll(/^\| `([a-z-]+)` *\| .+ \| .+ \|$/gm);
    assert.deepEqual([...rows].map(([, code]) => code).sort(), Object.keys(statusOfCode).sort());
  });
});
