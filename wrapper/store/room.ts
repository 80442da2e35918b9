import { statfsSync } from 'node:fs';

import type { StoreConfig } from '../config/config.js';
import { StowageError } from '../error.js';
import type { StoredBlob } from './blob-files.js';
import type { Census } from './census.js';

export type Budget = Pick<StoreConfig, 'maxBytes' | 'maxBlobs' | 'maxAgeMs' | 'minFreeBytes'>;

/** So many candidates are kept from one look at all blobs to the next. */
const mostCandidates = 1000;
/** Removed at once when the file system has run out of something, so that it does not at the next step. */
const fewBlobs = 16;

/** Bytes that are promised to one download until it has ended. */
export interface Reservation {
  /** So many are in its file already. */
  doneBytes: number;
  release(): void;
}

/** `isHere`: a blob of that name is counted already. */
interface Promised extends Reservation {
  bytes: number;
  isHere: boolean;
}

/** What the room is part of. */
export interface Premises {
  directory: string;
  census: Census;
  find(digest: string): Promise<StoredBlob | undefined>;
  /** Whether nothing needs it now. */
  isIdle(digest: string): boolean;
  remove(blob: StoredBlob): Promise<void>;
}

interface Shortage {
  bytes: number;
  blobs: number;
  /** What falls short, as the middle of a sentence. */
  reason: string;
}

/** Keeps the store within its budget: what was not used for longest goes, but nothing that is needed now. */
export class Room {
  readonly #reserved = new Set<Promised>();
  /** The longest unused first; the last use may have been since. */
  #candidates: StoredBlob[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  /** Blobs that were removed to make room or because of their age, since the start. */
  evictedBlobs = 0;

  constructor(
    private readonly premises: Premises,
    private budget: Budget,
  ) {}

  update(budget: Budget): void {
    this.budget = budget;
  }

  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.premises.directory);
    return bavail * bsize;
  }

  /**
   * Makes room for the file of a blob, of which the store may have one already. Throws `store-full` if there is
   * none to be made, and then removes nothing.
   */
  reserve(digest: string, bytes: number, isHere = false): Promise<Reservation> {
    return this.#inTurn(async () => {
      const { maxBytes } = this.budget;
      if (maxBytes > 0 && bytes > maxBytes) throw tooLarge(this.premises.directory, digest, bytes, maxBytes);
      for (let shortage; (shortage = this.#shortage({ digest, bytes, isHere }));) {
        if (!(await this.#evict(shortage))) throw full(this.premises.directory, shortage.reason);
      }
      const reservation: Promised = {
        ...{ bytes, isHere, doneBytes: 0 },
        release: () => void this.#reserved.delete(reservation),
      };
      this.#reserved.add(reservation);
      return reservation;
    });
  }

  /** For when the file system has no room, whatever it said before. Returns whether anything was removed. */
  clear(bytes: number): Promise<boolean> {
    return this.#inTurn(async () => {
      const enough = { bytes, blobs: fewBlobs, reason: '' };
      return this.#remove((await this.#idle()).oldest, enough);
    });
  }

  /** Removes what is too old, and what is too much since the budget was changed or others took space. */
  tidy(): Promise<void> {
    return this.#inTurn(async () => {
      const { maxAgeMs } = this.budget;
      if (maxAgeMs > 0) {
        const before = Date.now() - maxAgeMs;
        await this.premises.census.take(async (blob) => {
          const mayGo = blob.usedAtMs < before && this.premises.isIdle(blob.digest);
          if (mayGo) await this.#removeOne(blob);
        });
      }
      for (let shortage; (shortage = this.#shortage());) {
        if (!(await this.#remove((await this.#idle()).oldest, shortage))) return;
      }
    });
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** What must go for one more blob, or for what is here and promised. */
  #shortage(wanted = { digest: 'nothing', bytes: 0, isHere: true }): Shortage | undefined {
    const { maxBytes, maxBlobs, minFreeBytes } = this.budget;
    const { census } = this.premises;
    const promised = [...this.#reserved];
    const counted = promised.filter(({ isHere }) => !isHere);
    const takenBytes = census.bytes + sum(counted.map(({ bytes }) => bytes));
    const takenBlobs = census.blobs + counted.length;
    const need = `${wanted.digest} needs ${wanted.bytes} bytes`;

    const overBytes = maxBytes === 0 ? 0 : takenBytes + (wanted.isHere ? 0 : wanted.bytes) - maxBytes;
    const overBlobs = maxBlobs === 0 ? 0 : takenBlobs + (wanted.isHere ? 0 : 1) - maxBlobs;
    if (overBytes > 0 || overBlobs > 0) {
      const budget =
        overBytes > 0
          ? `store.max_bytes allows ${maxBytes}, and ${takenBytes} are taken`
          : `store.max_blobs allows ${maxBlobs}, and ${takenBlobs} blobs are there`;
      return {
        bytes: Math.max(0, overBytes),
        blobs: Math.max(0, overBlobs),
        reason: `${need}, ${budget}, too many of them by images in use`,
      };
    }
    const still = sum(promised.map(({ bytes, doneBytes }) => Math.max(0, bytes - doneBytes)));
    const freeBytes = this.freeBytes() - still;
    const lacking = minFreeBytes + wanted.bytes - freeBytes;
    if (lacking <= 0) return undefined;
    const reason =
      `${need}, ${Math.max(0, freeBytes)} of its file system are free, store.min_free_bytes keeps ` +
      `${minFreeBytes} of them, and too few can be removed`;
    return { bytes: lacking, blobs: 0, reason };
  }

  /** Removes as much as falls short; returns false, with all of it still there, if that cannot be. */
  async #evict(shortage: Shortage): Promise<boolean> {
    const known = this.#candidates.splice(0);
    if (suffices(known, shortage)) return this.#remove(known, shortage);
    const { oldest, bytes, blobs } = await this.#idle();
    return bytes >= shortage.bytes && blobs >= shortage.blobs && this.#remove(oldest, shortage);
  }

  /** Removes from the first on until it is enough. Returns whether anything went. */
  async #remove(candidates: readonly StoredBlob[], enough: Shortage): Promise<boolean> {
    let { bytes, blobs } = enough;
    let next = 0;
    let removed = false;
    for (; next < candidates.length && (bytes > 0 || blobs > 0); next++) {
      const candidate = candidates[next] as StoredBlob;
      const now = await this.premises.find(candidate.digest);
      if (!now || now.usedAtMs > candidate.usedAtMs || !this.premises.isIdle(candidate.digest)) continue;
      await this.#removeOne(now);
      removed = true;
      bytes -= now.bytes;
      blobs--;
    }
    this.#candidates = candidates.slice(next);
    return removed;
  }

  async #removeOne(blob: StoredBlob): Promise<void> {
    await this.premises.remove(blob);
    this.evictedBlobs++;
  }

  /** How much nothing needs now, and of that what was not used for longest. */
  async #idle(): Promise<{ oldest: StoredBlob[]; bytes: number; blobs: number }> {
    const idle = { oldest: [] as StoredBlob[], bytes: 0, blobs: 0 };
    const cut = (): void => {
      idle.oldest = idle.oldest.sort((a, b) => a.usedAtMs - b.usedAtMs).slice(0, mostCandidates);
    };
    await this.premises.census.take((blob) => {
      if (!this.premises.isIdle(blob.digest)) return;
      idle.bytes += blob.bytes;
      idle.blobs++;
      idle.oldest.push(blob);
      if (idle.oldest.length > 4 * mostCandidates) cut();
    });
    cut();
    return idle;
  }
}

function suffices(candidates: readonly StoredBlob[], shortage: Shortage): boolean {
  let { bytes, blobs } = shortage;
  for (const candidate of candidates) {
    if (bytes <= 0 && blobs <= 0) break;
    bytes -= candidate.bytes;
    blobs--;
  }
  return bytes <= 0 && blobs <= 0;
}

function full(directory: string, reason: string): StowageError {
  return new StowageError(
    'store-full',
    `the image store ${directory} of this node has no room: ${reason}; try again when other jobs have ended, or ask the ` +
      'administrators for more',
  );
}

/** Nothing that anybody could stop using would help. */
function tooLarge(directory: string, digest: string, bytes: number, maxBytes: number): StowageError {
  return new StowageError(
    'store-full',
    `the image store ${directory} of this node can never hold this image: ${digest} has ${bytes} bytes, and ` +
      `store.max_bytes allows ${maxBytes} in all; use a smaller image, or ask the administrators for more`,
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
