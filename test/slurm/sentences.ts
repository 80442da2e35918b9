import assert from 'node:assert/strict';

import type { RunResult } from '../cluster/run.js';

/** What Stowage said to the user, without progress: each once, however many ranks said it. */
export const sentencesIn = (stderr: string): string[] => [
  ...new Set(
    stderr
      .split('\n')
      .filter((line) => line.includes('stowage: ') && !/: (downloading|waiting|asking) /.test(line)),
  ),
];

/** Expects that nothing ran, and one sentence in which all of `parts` stand; returns it. */
export const refusal = ({ code, stdout, stderr }: RunResult, ...parts: (string | RegExp)[]): string => {
  assert.notEqual(code, 0, stderr);
  assert.equal(stdout, '');
  const [sentence = '', ...more] = sentencesIn(stderr);
  assert.deepEqual(more, [], stderr);
  assert.match(sentence, /stowage: (n\d+: )?/, stderr);
  for (const part of parts) {
    if (typeof part === 'string') assert.ok(sentence.includes(part), `no ${part} in: ${stderr}`);
    else assert.match(sentence, part, stderr);
  }
  return sentence;
};
