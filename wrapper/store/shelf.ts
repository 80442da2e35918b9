import type { FileHandle } from 'node:fs/promises';

import { StowageError, systemErrorCode } from '../error.js';
import type { BlobFiles, StoredBlob } from './blob-files.js';
import { Census } from './census.js';
import { storeError } from './error.js';
import { Pins } from './pins.js';
import type { Provenance } from './provenance.js';

/** The blobs that are here, who may read them, and which of them are needed now. */
export class Shelf {
  readonly pins = new Pins();
  readonly census: Census;
  readonly #leaving = new Map<string, Promise<void>>();

  constructor(
    readonly directory: string,
    readonly files: BlobFiles,
    readonly provenance: Provenance,
  ) {
    this.census = new Census(files);
  }

  /** A blob, and the scopes that it was delivered from. */
  async find(digest: string): Promise<[StoredBlob | undefined, Set<string>]> {
    await this.#leaving.get(digest);
    return this.guard(() => Promise.resolve([this.files.look(digest), this.provenance.scopesOf(digest)]));
  }

  /** A blob that callers of that scope may read. Does the same, and takes as long, whether it is here or not. */
  async readable(digest: string, scope: string): Promise<StoredBlob | undefined> {
    const [blob, scopes] = await this.find(digest);
    if (!blob || !scopes.has(scope)) return undefined;
    await this.files.noteUse(blob);
    return blob;
  }

  /** Whoever may read it. The caller closes it. */
  open(digest: string): Promise<FileHandle> {
    return this.guard(() => this.files.open(digest));
  }

  /** The bytes of a blob that is here. */
  async *bytes(digest: string): AsyncGenerator<Uint8Array> {
    const file = await this.open(digest);
    try {
      yield* file.createReadStream({ autoClose: false }) as AsyncIterable<Uint8Array>;
    } finally {
      await file.close();
    }
  }

  async remove({ digest, bytes }: Pick<StoredBlob, 'digest' | 'bytes'>): Promise<void> {
    const removing = (async () => {
      if (await this.files.remove(digest)) this.census.went(digest, bytes);
      await this.provenance.forget(digest);
    })();
    const settled = removing.catch(() => undefined).finally(() => this.#leaving.delete(digest));
    this.#leaving.set(digest, settled);
    await removing;
  }

  /** Does something with the store's files, and says it in words if the system refuses. */
  async guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (systemErrorCode(error) === undefined || error instanceof StowageError) throw error;
      throw storeError(this.directory, error);
    }
  }
}
