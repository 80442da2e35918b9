import assert from 'node:assert/strict';

import { CommandError } from '../../wrapper/cli/command-error.js';
import { whileDownloading } from '../../wrapper/cli/while-downloading.js';

/** A promise that does what the test says, when the test says so. */
function controlled(): { promise: Promise<void>; succeed: () => void; fail: (error: Error) => void } {
  let succeed = (): void => undefined;
  let fail = (_error: Error): void => undefined;
  const promise = new Promise<void>((resolve, reject) => {
    succeed = resolve;
    fail = reject;
  });
  return { promise, succeed, fail };
}

describe('work while a download is under way', () => {
  const { signal } = new AbortController();
  const broken = new Error('the registry is gone');
  const never = (): Promise<never> => new Promise(() => undefined);

  it('ends when both have ended', async () => {
    const download = controlled();
    let ended = false;
    const both = whileDownloading(download.promise, signal, async () => 'done').finally(() => (ended = true));
    await new Promise(setImmediate);
    assert.equal(ended, false);
    download.succeed();
    assert.equal(await both, 'done');
  });

  it('is stopped by a failed download, whose error is told', async () => {
    const download = controlled();
    const both = whileDownloading(
      download.promise,
      signal,
      (until) =>
        new Promise((_, reject) => {
          until.addEventListener('abort', () => reject(until.reason as Error));
        }),
    );
    download.fail(broken);
    await assert.rejects(both, broken);
  });

  it('is stopped by who asked for it', async () => {
    const reason = new Error('SIGINT');
    const both = whileDownloading(never(), AbortSignal.abort(reason), async (until) => {
      until.throwIfAborted();
    });
    await assert.rejects(both, reason);
  });

  it('does not wait for the download when the image is at fault', async () => {
    const refusal = new CommandError('image x is refused: its archive has a name with ".."');
    await assert.rejects(
      whileDownloading(never(), signal, () => Promise.reject(refusal)),
      refusal,
    );
  });

  it('lets the download say why bytes are wrong', async () => {
    const doubt = new CommandError(
      'image x is refused: layer y does not match its digest (its bytes have z)',
    );
    const fail = (): Promise<never> => Promise.reject(doubt);
    const download = controlled();
    const both = whileDownloading(download.promise, signal, fail);
    setImmediate(() => download.fail(broken));
    await assert.rejects(both, broken);
    await assert.rejects(whileDownloading(Promise.resolve(), signal, fail), doubt);
  });
});
