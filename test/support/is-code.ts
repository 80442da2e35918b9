import assert from 'node:assert/strict';

import type { ErrorCode, StowageError } from '../../wrapper/error.js';

/** For assert.throws and assert.rejects; `never` stands nowhere in the error, nor in what caused it. */
export const isCode =
  (code: ErrorCode, reason: RegExp, never?: RegExp) =>
  (error: StowageError): true => {
    assert.equal(error.code, code, error.stack);
    assert.match(error.message, reason);
    for (let at: unknown = error; never && at instanceof Error; at = at.cause) {
      assert.doesNotMatch(`${at.message}\n${at.stack}\n${JSON.stringify(at)}`, never);
    }
    return true;
  };
