import { dirname } from 'node:path';

import type { StoreConfig } from '../config/config.js';
import { StowageError, systemErrorCode } from '../error.js';
import type { Log } from '../telemetry/log.js';
import type { BlobRequest } from './blob-request.js';
import { Draft, type Later } from './draft.js';
import { storeError } from './error.js';
import type { Inventory } from './inventory.js';
import { Room } from './room.js';
import type { Settling } from './settling.js';
import type { Shelf } from './shelf.js';

type Bytes = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** How blobs come onto the shelf: within the budget, verified, and for those whose registry sent them. */
export class Intake {
  readonly #room: Room;
  /** Drafts of which it is known whether they became blobs. */
  readonly #judged = new WeakSet<Draft>();

  constructor(
    private readonly shelf: Shelf,
    private readonly inventory: Inventory,
    private config: StoreConfig,
    private readonly log: Log,
    /** Undefined: what is published is on the disk. */
    private readonly settling: Settling | undefined,
  ) {
    this.#room = new Room(
      {
        directory: shelf.directory,
        census: shelf.census,
        find: (digest) => shelf.files.find(digest),
        isIdle: (digest) => !shelf.pins.has(digest),
        remove: (blob) => shelf.remove(blob),
      },
      config,
    );
  }

  /** Removed since the start because of limits and age. */
  get evictedBlobs(): number {
    return this.#room.evictedBlobs;
  }

  update(config: StoreConfig): void {
    this.config = config;
    this.#room.update(config);
  }

  /** Removes what is too old or too much. */
  async tidy(): Promise<void> {
    await this.inventory.counted;
    await this.#room.tidy().catch(() => undefined);
  }

  /**
   * Does what needs room for one more blob. If the file system runs out of space or inodes all the same, other
   * blobs are removed and it is done once more.
   */
  async withRoom(
    { digest, size }: BlobRequest,
    work: (progressed: (doneBytes: number) => void) => Promise<void>,
  ): Promise<void> {
    await this.shelf.guard(async () => {
      const { maxBytes, maxBlobs } = this.config;
      if (maxBytes > 0 || maxBlobs > 0) await this.inventory.counted;
      // A blob that is here already, of somebody else, takes the place of this one when all has come.
      const isHere = this.shelf.files.look(digest) !== undefined;
      const reservation = await this.#room.reserve(digest, size, isHere);
      const attempt = (): Promise<void> => work((doneBytes) => (reservation.doneBytes = doneBytes));
      try {
        await attempt().catch(async (error: unknown) => {
          if (!isFull(error)) throw error;
          reservation.doneBytes = 0;
          if (!(await this.#room.clear(size))) throw error;
          await attempt();
        });
      } finally {
        reservation.release();
      }
    });
  }

  /** Fills a draft, which becomes the blob if there is none yet. */
  async fill(
    draft: Draft,
    { digest, size }: BlobRequest,
    bytes: Bytes,
    onProgress: (doneBytes: number) => void,
  ): Promise<void> {
    const arrived = this.shelf.census.coming(digest, size);
    let isNew = false;
    try {
      const path = this.shelf.files.path(digest);
      await draft.fill(path, { digest, size }, bytes, onProgress, this.#later({ digest, bytes: size }));
      if (this.#judged.has(draft)) return;
      this.#judged.add(draft);
      // If somebody else's file has the name, that one was counted when it came.
      isNew = draft.isPublished;
    } finally {
      arrived(isNew);
    }
  }

  #later(blob: { digest: string; bytes: number }): Later | undefined {
    const { settling } = this;
    const lost = async (error: unknown): Promise<void> => {
      this.log.write('error', 'blob lost', {
        digest: blob.digest,
        reason: storeError(this.shelf.directory, error).message,
      });
      await this.shelf.remove(blob).catch(() => undefined);
    };
    return settling && { settling, lost };
  }

  /** Bytes that are in memory already. */
  async put(request: BlobRequest, bytes: Uint8Array): Promise<void> {
    await this.withRoom(request, async () => {
      const draft = Draft.open(dirname(this.shelf.files.path(request.digest)));
      try {
        await this.fill(draft, request, [bytes], () => undefined);
      } finally {
        await draft.close();
      }
      await this.grant(request);
    });
  }

  /**
   * Notes who may read what was verified, and makes room for that if it must. A blob that nobody may read is of no
   * use; it is then not brought once more, as its draft was used up.
   */
  async grant({ digest, scope }: BlobRequest): Promise<void> {
    const { provenance, directory } = this.shelf;
    try {
      await provenance.add(digest, scope).catch(async (error: unknown) => {
        if (!isFull(error) || !(await this.#room.clear(0))) throw error;
        await provenance.add(digest, scope);
      });
    } catch (error) {
      const [blob, scopes] = await this.shelf.find(digest);
      if (blob && scopes.size === 0) await this.shelf.remove(blob).catch(() => undefined);
      const { code, message } = storeError(directory, error);
      throw new StowageError(code, message);
    }
  }
}

function isFull(error: unknown): boolean {
  const code = systemErrorCode(error) ?? (error instanceof Error ? systemErrorCode(error.cause) : undefined);
  return code === 'ENOSPC' || code === 'EDQUOT';
}
