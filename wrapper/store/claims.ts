import { createHash, randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { SharedFiles } from './shared-files.js';

export interface ClaimTimes {
  /** How often the holder of a claim changes it. */
  beatMs: number;
  /** A claim that has not changed for so long is nobody's; several beats. */
  staleMs: number;
  /** How often those look who wait, at first; who has waited for long looks less often. */
  lookMs: number;
}

/** What this node has claimed. */
export interface Claim {
  /** Lets others have it; never throws. */
  release(): Promise<void>;
}

/** The claim that counts among those for one key, as somebody has found it. */
interface Holder {
  /** Of all claims, from the first to this one, which has taken over from the one before it, and so on. */
  paths: string[];
  tokens: string[];
  content: string;
}

/** More takeovers than nodes ever have reason for. */
const mostHolders = 64;

/**
 * Files by which nodes agree on who downloads a blob. The first claim for a key is HASH and says a token of its own;
 * who finds that it has stopped changing takes over by making HASH.TOKEN, which has another token, and so on. Each
 * name is made once (link(2) or O_EXCL), so that one node alone takes over; and a name says from whom, so that
 * nobody takes over from a claim that is gone meanwhile. No clock is compared with another, and nothing is locked.
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
    const first = this.#path(key);
    const token = newToken();
    if (await this.files.createWhole(first, contentOf(token, 0)))
      return this.#hold({ paths: [first], tokens: [token] });
    onWait();
    const { staleMs } = this.times;
    // Pauses are summed up rather than time measured: what passed while this node slept says nothing about the others.
    const patienceMs = staleMs * (1 + Math.random() / 3);
    let waitedMs = 0;
    let silentMs = 0;
    let seen: string | undefined;
    for (;;) {
      const holder = await this.#find(first);
      if (!holder) return undefined;
      if (holder.content !== seen) [seen, silentMs] = [holder.content, 0];
      if (silentMs >= patienceMs) {
        const taken = await this.#takeOver(holder);
        if (taken) return taken;
        seen = undefined;
      }
      const pauseMs = pauseAfter(waitedMs, this.times);
      await sleep(pauseMs, undefined, { signal });
      waitedMs += pauseMs;
      silentMs += pauseMs;
    }
  }

  /** Of several who try, one succeeds. */
  async #takeOver({ paths, tokens }: Holder): Promise<Claim | undefined> {
    const token = newToken();
    const path = successor(paths, tokens);
    if (!(await this.files.createWhole(path, contentOf(token, 0)))) return undefined;
    // Nobody goes on from the claim before this one any more; but it may have ended before.
    const [first = path] = paths;
    if ((await this.#find(first))?.tokens.at(-1) === token)
      return this.#hold({ paths: [...paths, path], tokens: [...tokens, token] });
    await this.files.remove(path);
    return undefined;
  }

  #hold(own: { paths: string[]; tokens: string[] }): Claim {
    const path = own.paths.at(-1) ?? '';
    const token = own.tokens.at(-1) ?? '';
    const ended = new AbortController();
    const beating = (async () => {
      for (let beat = 1; ; beat++) {
        await sleep(this.times.beatMs, undefined, { signal: ended.signal, ref: false });
        if (!(await this.files.overwrite(path, token, contentOf(token, beat)))) return;
      }
      // Whether it was ended or cannot be written: others take it over.
    })().catch(() => undefined);
    let released: Promise<void> | undefined;
    const release = async (): Promise<void> => {
      ended.abort();
      await beating;
      await this.#end(own);
    };
    return { release: () => (released ??= release().catch(() => undefined)) };
  }

  /** Takes over from oneself, so that nobody else can, and removes everything, unless somebody was faster. */
  async #end({ paths, tokens }: { paths: string[]; tokens: string[] }): Promise<void> {
    const last = successor(paths, tokens);
    if (!(await this.files.createWhole(last, contentOf(newToken(), 0)))) return;
    const [first = last] = paths;
    // Somebody may have removed it, and another node have claimed the key since.
    const isOurs = tokenOf((await this.files.readText(first)) ?? '') === tokens[0];
    for (const path of isOurs ? [...paths, last] : [...paths.slice(1), last]) await this.files.remove(path);
  }

  /** Undefined if nobody has claimed it, or more have than is believable. */
  async #find(first: string): Promise<Holder | undefined> {
    const holder: Holder = { paths: [], tokens: [], content: '' };
    for (let path = first; ; path = successor(holder.paths, holder.tokens)) {
      const content = await this.files.readText(path);
      if (content === undefined) return path === first ? undefined : holder;
      if (holder.paths.length === mostHolders) return undefined;
      holder.paths.push(path);
      holder.tokens.push(tokenOf(content));
      holder.content = content;
    }
  }

  #path(key: string): string {
    return join(this.directory, createHash('sha256').update(key).digest('hex'));
  }
}

/**
 * How long to wait before the next look, for whoever has waited for so long already: an eighth of it, so that the end
 * is seen late in proportion, and thousands of nodes do not ask the file system all the time; and not all at once.
 */
export function pauseAfter(waitedMs: number, { lookMs, staleMs }: ClaimTimes): number {
  const longestMs = Math.max(lookMs, staleMs / 5);
  return Math.min(Math.max(lookMs, waitedMs / 8), longestMs) * (0.75 + Math.random() / 4);
}

/** What a claim is called that takes over from the last of these. */
function successor([first = '']: readonly string[], tokens: readonly string[]): string {
  return `${first}.${tokens.at(-1) ?? ''}`;
}

function newToken(): string {
  return randomBytes(16).toString('hex');
}

/** Of one length, as it is written over itself. Which node it is, is said for who looks. */
function contentOf(token: string, beat: number): string {
  return `${token} ${String(beat).padStart(12, '0')} ${hostname()}\n`;
}

/** What is no claim of ours, such as the empty file of a full file system, is taken over as any other. */
function tokenOf(content: string): string {
  return /^[0-9a-f]{32} /.test(content) ? content.slice(0, 32) : 'none';
}
