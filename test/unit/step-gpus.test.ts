import assert from 'node:assert/strict';

import { stepGpus } from '../../wrapper/cdi/step-gpus.js';

describe('the GPUs that a step says it was given', () => {
  it('are a bounded number, however many ranges of them there are', () => {
    const given = new Map([['SLURM_STEP_GPUS', '0-1023,'.repeat(2000)]]);
    const before = process.memoryUsage().heapUsed;
    assert.equal(stepGpus(given).indices.length, 1024);
    assert.ok(process.memoryUsage().heapUsed - before < 10_000_000);
  });
});
