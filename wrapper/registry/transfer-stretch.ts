import type { Descriptor } from '../image/manifest.js';
import type { Reference } from '../image/reference.js';
import type { Turns } from '../policy/turns.js';
import type { ByteRate } from './byte-rate.js';
import type { Waiting } from './patience.js';
import { RegistryError } from './error.js';
import type { IdleMemory } from './idle-memory.js';
import { Patience, type RetryLimits } from './patience.js';
import type { BlobAnswer, RegistrySession } from './session.js';
import { TransferTurn } from './transfer-turn.js';

/** A blob that somebody wants, and how. */
export interface WantedBlob {
  readonly session: Pick<RegistrySession, 'openBlob'>;
  readonly uid: number;
  readonly reference: Reference;
  readonly descriptor: Descriptor;
  readonly retries: RetryLimits;
  readonly turns: Turns;
  /** Of the registry; undefined if it has no limit. */
  readonly rate: ByteRate | undefined;
  readonly memory: IdleMemory;
}

/** A registry that was asked for a part sends the whole blob instead. */
export class RangeIgnored extends Error {}

/** Bytes that must arrive before earlier failures of a transfer are forgiven. */
const realProgressBytes = 8 * 1024 * 1024;

/**
 * The bytes of a blob from `from` up to but without `end`, each once and in order, by one connection at a time. What
 * breaks off is resumed. At the end of the blob one byte more may come: the blob is then longer than was promised.
 */
export class Stretch {
  /** How fast the registry sends; time that others spend, and waiting for our turn, does not count. */
  bytesPerSecond = Infinity;
  readonly #size: number;
  #at: number;
  #waitedMs = 0;

  /**
   * `whenRangeIgnored` is what becomes of a registry that sends the whole blob where a part was wanted: `go-on`
   * lets the stretch reach to the end of the blob, which `end` then says; `refuse` throws RangeIgnored.
   */
  constructor(
    private readonly blob: WantedBlob,
    private readonly from: number,
    public end: number,
    private readonly waiting: Waiting,
    private readonly whenRangeIgnored: 'go-on' | 'refuse',
  ) {
    this.#size = blob.descriptor.size;
    this.#at = from;
  }

  async *bytes(): AsyncGenerator<Buffer> {
    const { retries, turns, uid, memory } = this.blob;
    const { signal, onWait } = this.waiting;
    const patience = new Patience(retries, signal, onWait);
    const turn = new TransferTurn(turns, uid, this.waiting);
    let failedAt = this.from;
    const release = memory.use();
    try {
      for (;;) {
        try {
          await turn.take();
          yield* this.#attempt(turn);
          return;
        } catch (error) {
          if (this.#at - failedAt >= realProgressBytes) patience.reset();
          failedAt = this.#at;
          turn.giveBack();
          await patience.pauseAfter(error);
        }
      }
    } finally {
      turn.giveBack();
      release();
    }
  }

  async *#attempt(turn: TransferTurn): AsyncGenerator<Buffer> {
    const answer = await this.#open();
    // A registry that ignores Range begins anew; what is here already is skipped.
    let skip = this.#at - answer.from;
    let askedAt = performance.now();
    for await (const chunk of answer.body) {
      this.#waitedMs += performance.now() - askedAt;
      await this.blob.rate?.spend(chunk.length, this.waiting.signal);
      const fresh = chunk.subarray(Math.min(skip, chunk.length));
      skip -= chunk.length - fresh.length;
      const most = this.end === this.#size ? this.#size + 1 : this.end;
      const kept = fresh.subarray(0, most - this.#at);
      this.#at += kept.length;
      this.bytesPerSecond = ((this.#at - this.from) / this.#waitedMs) * 1000;
      if (kept.length > 0) yield kept;
      if (kept.length < fresh.length || this.#at > this.#size) return;
      await turn.lend();
      askedAt = performance.now();
    }
    if (this.#at >= this.end) return;
    const { reference, descriptor } = this.blob;
    throw new RegistryError(
      'registry-failing',
      `registry ${reference.registry} sent only ${this.#at} of ${descriptor.size} bytes of ${descriptor.digest}; try again later`,
      { retryable: true },
    );
  }

  async #open(): Promise<BlobAnswer> {
    const { session, reference, descriptor } = this.blob;
    const range = this.end === this.#size ? { from: this.#at } : { from: this.#at, to: this.end - 1 };
    const answer = await session.openBlob(reference, descriptor.digest, range, this.waiting);
    try {
      checkSize(answer, this.blob);
      if (!answer.partial && this.end < this.#size) {
        if (this.whenRangeIgnored === 'refuse') throw new RangeIgnored();
        this.end = this.#size;
      }
    } catch (error) {
      answer.discard();
      throw error;
    }
    return answer;
  }
}

/** Throws `content-mismatch` if the registry says that the blob has another size than the manifest promises. */
export function checkSize(
  { totalBytes }: BlobAnswer,
  { reference, descriptor }: Pick<WantedBlob, 'reference' | 'descriptor'>,
): void {
  if (totalBytes === undefined || totalBytes === descriptor.size) return;
  throw new RegistryError(
    'content-mismatch',
    `registry ${reference.registry} has ${totalBytes} bytes for ${descriptor.digest}, and the manifest promises ` +
      `${descriptor.size}; ask whoever built image ${reference.canonical} to build it again`,
  );
}
