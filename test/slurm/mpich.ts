import assert from 'node:assert/strict';

import type { Site } from './cluster-suite.js';

/** Many times what such a step takes, with its image downloaded and unpacked. */
const hungMs = 45_000;
const mostAttempts = 5;

/**
 * As site.output(), of a step over two nodes. An MPICH before 4.2 sometimes waits for ever in MPI_Finalize(): all
 * ranks but one wait in PMI for that one, which waits for them (https://github.com/pmodels/mpich/pull/6596).
 * What hangs is done once more.
 */
export const outputOfMpich = async (site: Site, command: string): Promise<string> => {
  for (let attempt = 1; ; attempt++) {
    const { code, stdout, stderr, ms } = await site.run(command, { timeoutMs: hungMs });
    if (ms >= hungMs && attempt < mostAttempts) continue;
    assert.equal(code, 0, `${command}\nfailed:\n${stdout}${stderr}`);
    return stdout;
  }
};

/** What a test needs of mocha's patience for it. */
export const mpichTestMs = mostAttempts * (hungMs + 15_000);
