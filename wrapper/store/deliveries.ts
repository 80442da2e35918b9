import { dirname } from 'node:path';

import { StowageError } from '../error.js';
import {
  type BlobRequest,
  type BlobSource,
  type Delivery,
  type DownloadEvent,
  keyOf,
} from './blob-request.js';
import type { Drafts } from './drafts.js';
import type { Intake } from './intake.js';
import { haveRegistryOf } from './origins.js';
import type { SharedSupply } from './shared-supply.js';
import type { Shelf } from './shelf.js';

/** Brings blobs from wherever they are nearest. */
export class Deliveries {
  /** Without `shared`: from registries only. */
  constructor(
    private readonly shelf: Shelf,
    private readonly intake: Intake,
    private readonly drafts: Drafts,
    private readonly shared: SharedSupply | undefined,
  ) {}

  /** Makes a blob be here for callers of the request's scope. */
  async deliver(
    request: BlobRequest,
    source: BlobSource,
    signal: AbortSignal,
    emit: (event: DownloadEvent) => void,
  ): Promise<void> {
    const { digest, size, scope } = request;
    const [blob, scopes] = await this.shelf.find(digest);
    if (blob?.bytes === size && (scopes.has(scope) || haveRegistryOf(scope, scopes))) {
      if (!scopes.has(scope)) await source.probe(signal, (waiting) => emit({ waiting }));
      // Only somebody who reads the draft needs the bytes once more.
      if (this.drafts.has(keyOf(request))) {
        await this.#withDraft(request, source, signal, emit, (delivery) =>
          this.#fill(delivery, this.shelf.bytes(digest)),
        );
      }
      await this.intake.grant(request);
    } else {
      await this.#withDraft(request, source, signal, emit, (delivery) => this.#download(delivery));
    }
  }

  async #withDraft(
    request: BlobRequest,
    source: BlobSource,
    signal: AbortSignal,
    emit: (event: DownloadEvent) => void,
    work: (delivery: Delivery) => Promise<void>,
  ): Promise<void> {
    await this.intake.withRoom(request, async (progressed) => {
      const directory = dirname(this.shelf.files.path(request.digest));
      const { draft, release } = this.drafts.take(keyOf(request), directory);
      const tell = (event: DownloadEvent): void => {
        if ('doneBytes' in event) progressed(event.doneBytes);
        emit(event);
      };
      try {
        await work({ request, source, signal, emit: tell, draft });
      } finally {
        await release();
      }
    });
  }

  /** From the shared directory if it is there, otherwise from the registry. */
  async #download(delivery: Delivery): Promise<void> {
    const { request } = delivery;
    const found = await this.shared?.bring(delivery);
    if (found === 'here') return;
    try {
      while (!(await this.#fillFromSource(delivery)));
      await this.intake.grant(request);
    } catch (error) {
      await found?.release();
      throw error;
    }
    this.shared?.give(request, found);
  }

  /** Returns false if the bytes were wrong and may be right if asked for once more. */
  async #fillFromSource(delivery: Delivery): Promise<boolean> {
    const { request, source, signal, emit } = delivery;
    try {
      await this.#fill(
        delivery,
        source.bytes(signal, (waiting) => emit({ waiting })),
      );
      return true;
    } catch (error) {
      const isWrong = error instanceof StowageError && error.code === 'content-mismatch';
      if (!isWrong || !source.distrust()) throw error;
      emit({
        waiting: `a mirror sent wrong bytes for ${request.digest}; downloading it again without that mirror`,
      });
      return false;
    }
  }

  #fill({ draft, request, emit }: Delivery, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    return this.intake.fill(draft, request, bytes, (doneBytes) => emit({ doneBytes }));
  }
}
