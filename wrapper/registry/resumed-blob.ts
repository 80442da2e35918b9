import type { Descriptor } from '../image/manifest.js';
import type { Reference } from '../image/reference.js';
import { RegistryError } from './error.js';
import { Patience, type RetryLimits, type Waiting } from './patience.js';
import type { RegistrySession } from './session.js';

/** Bytes that must arrive before earlier failures of a download are forgiven. */
const realProgressBytes = 8 * 1024 * 1024;

/**
 * The bytes of a blob, once each and in order: a transfer that breaks off is resumed. At most one byte
 * more than `descriptor.size` comes; the digest is the reader's to check.
 */
export async function* resumedBlob(
  session: RegistrySession,
  limits: RetryLimits,
  reference: Reference,
  descriptor: Descriptor,
  waiting: Waiting,
): AsyncGenerator<Buffer> {
  const patience = new Patience(limits, waiting.signal, waiting.onWait);
  let received = 0;
  let lastFailureAt = 0;
  while (received < descriptor.size || descriptor.size === 0) {
    try {
      const { from, body } = await session.openBlob(
        reference,
        descriptor.digest,
        { from: received },
        waiting,
      );
      // A registry that ignores Range begins anew; what is here already is skipped.
      let skip = received - from;
      for await (const chunk of body) {
        const fresh = chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - fresh.length;
        const kept = fresh.subarray(0, descriptor.size + 1 - received);
        received += kept.length;
        if (kept.length > 0) yield kept;
        if (received > descriptor.size) return;
      }
      if (received === descriptor.size) return;
      throw new RegistryError(
        'registry-failing',
        `registry ${reference.registry} sent only ${received} of ${descriptor.size} bytes of ${descriptor.digest}; try again later`,
        { retryable: true },
      );
    } catch (error) {
      if (received - lastFailureAt >= realProgressBytes) patience.reset();
      lastFailureAt = received;
      await patience.pauseAfter(error);
    }
  }
}
