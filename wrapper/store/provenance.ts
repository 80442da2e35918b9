import { randomBytes } from 'node:crypto';
import { appendFileSync, readFileSync, statSync } from 'node:fs';
import { mkdir, opendir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { systemErrorCode } from '../error.js';
import { algorithms, isDigest, splitDigest } from '../image/digest.js';
import { formatOrigins, mostScopes, parseOrigins, withScope } from './origins.js';

/**
 * From which scopes each blob was delivered: DIRECTORY/ALGORITHM/HEX. Nobody waits for the disk to have it: what is
 * lost with the machine's power, or is not complete, counts as never written. Throws the system's errors. A look at one
 * file, or a line more in it, is done at once: to hand it to another thread takes longer.
 */
export class Provenance {
  /** Two writers of one file in this process follow each other. */
  readonly #writing = new Map<string, Promise<void>>();

  private constructor(private readonly directory: string) {}

  static async open(directory: string): Promise<Provenance> {
    for (const algorithm of algorithms)
      await mkdir(join(directory, algorithm), { recursive: true, mode: 0o700 });
    return new Provenance(directory);
  }

  scopesOf(digest: string): Set<string> {
    return parseOrigins(this.#text(digest));
  }

  /** Whether anything is written about it; a quick look. */
  has(digest: string): boolean {
    return (statSync(this.#path(digest), { throwIfNoEntry: false })?.size ?? 0) > 0;
  }

  /** Only for bytes that were verified. */
  async add(digest: string, scope: string): Promise<void> {
    const before = this.#writing.get(digest) ?? Promise.resolve();
    const writing = before.catch(() => undefined).then(() => this.#write(digest, scope));
    this.#writing.set(digest, writing);
    try {
      await writing;
    } finally {
      if (this.#writing.get(digest) === writing) this.#writing.delete(digest);
    }
  }

  async forget(digest: string): Promise<void> {
    await rm(this.#path(digest), { force: true });
  }

  /** The digests about which something is written, a few at a time. What is left of a crash is removed. */
  async *list(): AsyncGenerator<string> {
    for (const algorithm of algorithms) {
      for await (const { name } of await opendir(join(this.directory, algorithm), { bufferSize: 512 })) {
        const digest = `${algorithm}:${name}`;
        if (isDigest(digest)) yield digest;
        // What is being written has a name behind that of the digest.
        else if (!this.#writing.has(digest.replace(/\..*/, '')))
          await rm(join(this.directory, algorithm, name), { recursive: true, force: true });
      }
    }
  }

  async #write(digest: string, scope: string): Promise<void> {
    const text = this.#text(digest);
    const scopes = parseOrigins(text);
    if (scopes.has(scope)) return;
    const path = this.#path(digest);
    // An incomplete line would become another scope with the first letters of the next one behind it.
    const mayGrow = text === formatOrigins(scopes) && scopes.size < mostScopes;
    const target = mayGrow ? path : `${path}.${randomBytes(8).toString('hex')}`;
    const all = withScope(scopes, scope);
    appendFileSync(target, formatOrigins(mayGrow ? [scope] : all), { mode: 0o600 });
    if (!mayGrow) await rename(target, path);
  }

  #text(digest: string): string {
    try {
      return readFileSync(this.#path(digest), 'latin1');
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return '';
      throw error;
    }
  }

  #path(digest: string): string {
    const { algorithm, hex } = splitDigest(digest);
    return join(this.directory, algorithm, hex);
  }
}
