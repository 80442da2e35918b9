import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';

import { reasonOf, systemErrorCode } from '../error.js';
import { algorithms, splitDigest } from '../image/digest.js';
import type { Log } from '../telemetry/log.js';
import { type Claim, Claims, type ClaimTimes } from './claims.js';
import { formatOrigins, parseOrigins, withScope } from './origins.js';
import { SharedFiles } from './shared-files.js';

export interface SharedTimes extends ClaimTimes {
  /** How long one call may take until the file system is thought to hang. */
  patienceMs: number;
  /** How long it is left alone after a failure. */
  restMs: number;
}

export interface SharedBlob {
  scopes: ReadonlySet<string>;
  bytes: AsyncIterable<Uint8Array>;
}

const usualTimes: SharedTimes = {
  beatMs: 3000,
  staleMs: 15_000,
  lookMs: 500,
  patienceMs: 60_000,
  restMs: 60_000,
};

/** What is left of nodes that were killed is removed after this time. */
const leftoverMs = 24 * 60 * 60 * 1000;

/** Without them nothing can be written, and yet all can be read. */
const onlyFull = new Set(['ENOSPC', 'EDQUOT']);

/**
 * A directory of blobs on a file system that all nodes share; decision 0012. The layout is that of the node's own
 * store, with `claims`, `incoming` for files that are being written, and `set-aside` for those with wrong bytes.
 * Nothing in here fails a request: what goes wrong is logged when it begins, and the node goes on alone.
 */
export class SharedDirectory {
  readonly #files: SharedFiles;
  readonly #claims: Claims;
  #problem = '';
  #restUntilMs = 0;
  /** Only writing rests until then. */
  #fullUntilMs = 0;
  #setUp: Promise<void> | undefined;

  constructor(
    readonly directory: string,
    private readonly log: Log,
    private readonly times: SharedTimes = usualTimes,
  ) {
    this.#files = new SharedFiles(times.patienceMs);
    this.#claims = new Claims(join(directory, 'claims'), this.#files, times);
  }

  /** Why it is not used at present, or empty. */
  get problem(): string {
    return this.#problem;
  }

  /** A blob of that size and who may be given it, if there is one; nothing of it is verified. */
  async find(digest: string, size: number): Promise<SharedBlob | undefined> {
    return this.#attempt(async () => {
      const path = this.#path('blobs', digest);
      await this.#files.refresh(dirname(path));
      if ((await this.#files.sizeOf(path)) !== size) return undefined;
      const scopes = parseOrigins((await this.#files.readText(this.#path('origins', digest))) ?? '');
      return { scopes, bytes: this.#files.readBytes(path) };
    });
  }

  /** See Claims.take. Undefined too if it cannot be claimed; `problem` or a look at the blob says which. */
  async claim(key: string, signal: AbortSignal, onWait: () => void): Promise<Claim | undefined> {
    return this.#attempt(() => this.#claims.take(key, signal, onWait), { writes: true, signal });
  }

  /** Gives a verified blob to all nodes, for those who may read it as one of `scope`. */
  async publish(
    { digest, size, scope }: { digest: string; size: number; scope: string },
    bytes: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    await this.#attempt(
      async () => {
        const path = this.#path('blobs', digest);
        const present = await this.#files.sizeOf(path);
        if (present !== undefined && present !== size) await this.#setAside(digest);
        if (present !== size) {
          const incoming = this.#temporary('incoming');
          await this.#files.create(incoming, bytes);
          await this.#files.publish(incoming, path);
        }
        await this.#grant(digest, scope);
      },
      { writes: true },
    );
  }

  /** Also for callers of `scope` from now on. */
  async grant(digest: string, scope: string): Promise<void> {
    await this.#attempt(() => this.#grant(digest, scope), { writes: true });
  }

  /** A blob whose bytes turned out to be wrong is not offered any more. */
  async setAside(digest: string): Promise<void> {
    this.log.write('warning', 'shared blob set aside', { directory: this.directory, digest });
    await this.#attempt(() => this.#setAside(digest), { writes: true });
  }

  /** What went wrong with it outside of its own methods. */
  failed(error: unknown): void {
    const reason = `the shared image store ${this.directory} is not used for now: ${reasonOf(error)}`;
    const until = performance.now() + this.times.restMs;
    if (onlyFull.has(systemErrorCode(error) ?? '')) this.#fullUntilMs = until;
    else [this.#restUntilMs, this.#setUp] = [until, undefined];
    if (reason !== this.#problem)
      this.log.write('warning', 'shared store failed', { directory: this.directory, message: reason });
    this.#problem = reason;
  }

  /** Removes what nodes that were killed left behind. */
  async sweep(): Promise<void> {
    await this.#attempt(
      async () => {
        // The file system's own clock, or at least one to compare with.
        const probe = this.#temporary('incoming');
        await this.#files.create(probe, []);
        const now = (await this.#files.mtimeMsOf(probe)) ?? 0;
        await this.#files.remove(probe);
        for (const place of ['incoming', 'claims', 'set-aside']) {
          for (const name of await this.#files.list(join(this.directory, place))) {
            const path = join(this.directory, place, name);
            const age = now - ((await this.#files.mtimeMsOf(path)) ?? now);
            if (age > leftoverMs) await this.#files.remove(path);
          }
        }
      },
      { writes: true },
    );
  }

  async #attempt<T>(
    work: () => Promise<T>,
    { writes = false, signal }: { writes?: boolean; signal?: AbortSignal } = {},
  ): Promise<T | undefined> {
    const now = performance.now();
    if (now < this.#restUntilMs || (writes && now < this.#fullUntilMs)) return undefined;
    try {
      await (this.#setUp ??= this.#prepare());
      const result = await work();
      if (this.#problem !== '' && (writes || this.#fullUntilMs === 0)) this.#recovered();
      return result;
    } catch (error) {
      signal?.throwIfAborted();
      this.failed(error);
      return undefined;
    }
  }

  #recovered(): void {
    this.log.write('info', 'shared store works again', { directory: this.directory });
    this.#problem = '';
    this.#fullUntilMs = 0;
  }

  async #prepare(): Promise<void> {
    await this.#files.checkPrivate(this.directory);
    const places = ['blobs', 'origins'].flatMap((place) => [
      place,
      ...algorithms.map((algorithm) => join(place, algorithm)),
    ]);
    for (const place of [...places, 'claims', 'incoming', 'set-aside'])
      await this.#files.makeDirectory(join(this.directory, place));
  }

  async #grant(digest: string, scope: string): Promise<void> {
    const path = this.#path('origins', digest);
    const scopes = parseOrigins((await this.#files.readText(path)) ?? '');
    if (scopes.has(scope)) return;
    // As a whole: two nodes that append at once would write over each other. What one of them loses so, its next
    // caller downloads again.
    const incoming = this.#temporary('incoming');
    await this.#files.create(incoming, [Buffer.from(formatOrigins(withScope(scopes, scope)), 'latin1')]);
    await this.#files.rename(incoming, path);
  }

  async #setAside(digest: string): Promise<void> {
    await this.#files.rename(this.#path('blobs', digest), this.#temporary('set-aside'));
  }

  #path(place: 'blobs' | 'origins', digest: string): string {
    const { algorithm, hex } = splitDigest(digest);
    return join(this.directory, place, algorithm, hex);
  }

  #temporary(place: 'incoming' | 'set-aside'): string {
    return join(this.directory, place, randomBytes(16).toString('hex'));
  }
}
