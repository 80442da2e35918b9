import assert from 'node:assert/strict';

import { ProgressReporter } from '../../wrapper/rpc/progress.js';

describe('progress', () => {
  it('does not pile up for a client that reads nothing', () => {
    let isListening = false;
    const sent: (string | null | undefined)[] = [];
    const progress = new ProgressReporter(
      ({ detail }) => sent.push(detail),
      () => isListening,
    );
    try {
      for (let i = 0; i < 10; i++) progress.waiting(`turn ${i}`);
      assert.deepEqual(sent, []);
      isListening = true;
      progress.waiting('the last');
      assert.deepEqual(sent, ['the last']);
    } finally {
      progress.close();
    }
  });
});
