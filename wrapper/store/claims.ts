import { createHash, randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { systemErrorCode } from '../error.js';
import type { SharedFiles } from './shared-files.js';

export interface ClaimTimes {
  /** How often the holder of a claim changes it. */
  beatMs: number;
  /** A claim that has not changed for so long is nobody's; several beats. */
  staleMs: number;
  /** How often those look who wait. */
  lookMs: number;
}

/** What this node has claimed. */
export interface Claim {
  /** Lets others have it; never throws. */
  release(): Promise<void>;
}

/**
 * Files by which nodes agree on who downloads a blob. They only save work: if a claim is taken over from a node
 * that was merely slow, the blob is downloaded twice. No clock is compared with another, and nothing is locked.
 */
export class Claims {
  constructor(
    private readonly directory: string,
    private readonly files: SharedFiles,
    private readonly times: ClaimTimes,
  ) {}

  /**
   * Claims `key`, or waits while somebody else holds it: undefined when that has ended. `onWait` is called when
   * there is something to wait for.
   */
  async take(key: string, signal: AbortSignal, onWait: () => void): Promise<Claim | undefined> {
    const path = this.#path(key);
    const mine = await this.#create(path);
    if (mine) return mine;
    onWait();
    const { staleMs, lookMs } = this.times;
    // Not all of those who wait find it stale at the same moment.
    const patienceMs = staleMs * (1 + Math.random() / 3);
    let seen: string | undefined;
    let seenAtMs = 0;
    for (;;) {
      const content = await this.files.readText(path);
      if (content === undefined) return undefined;
      if (content !== seen) [seen, seenAtMs] = [content, performance.now()];
      if (performance.now() - seenAtMs > patienceMs) {
        const taken = (await this.#discard(path, content)) ? await this.#create(path) : undefined;
        if (taken) return taken;
        [seen, seenAtMs] = [undefined, performance.now()];
      }
      await sleep(lookMs, undefined, { signal });
    }
  }

  async #create(path: string): Promise<Claim | undefined> {
    const token = `${hostname()} ${randomBytes(16).toString('hex')}`;
    try {
      await this.files.create(path, [Buffer.from(contentOf(token, 0), 'latin1')]);
    } catch (error) {
      if (systemErrorCode(error) === 'EEXIST') return undefined;
      throw error;
    }
    return this.#hold(path, token);
  }

  #hold(path: string, token: string): Claim {
    const ended = new AbortController();
    const isOurs = async (): Promise<boolean> =>
      (await this.files.readText(path))?.startsWith(token) ?? false;
    const beating = (async () => {
      for (let beat = 1; ; beat++) {
        await sleep(this.times.beatMs, undefined, { signal: ended.signal, ref: false });
        if (!(await isOurs())) return;
        await this.files.overwrite(path, contentOf(token, beat));
      }
      // Whether it was ended or cannot be written: others take it over.
    })().catch(() => undefined);
    let released: Promise<void> | undefined;
    const release = async (): Promise<void> => {
      ended.abort();
      await beating;
      if (await isOurs()) await this.files.remove(path);
    };
    return { release: () => (released ??= release().catch(() => undefined)) };
  }

  /** Takes a stale claim away. Of several who try, one succeeds. */
  async #discard(path: string, content: string): Promise<boolean> {
    const away = `${path}.${randomBytes(8).toString('hex')}`;
    if (!(await this.files.rename(path, away))) return true;
    const isStale = (await this.files.readText(away)) === content;
    // Somebody was faster, and this is that one's new claim: it goes back where it was.
    if (!isStale) await this.files.link(away, path);
    await this.files.remove(away);
    return isStale;
  }

  #path(key: string): string {
    return join(this.directory, createHash('sha256').update(key).digest('hex'));
  }
}

/** Of one length, as it is written over itself. */
function contentOf(token: string, beat: number): string {
  return `${token} ${String(beat).padStart(12, '0')}\n`;
}
