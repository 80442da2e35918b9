import type { DownloadConfig } from '../config/config.js';
import type { Descriptor } from '../image/manifest.js';
import type { Reference } from '../image/reference.js';
import { Turns } from '../policy/turns.js';
import { ByteRate } from './byte-rate.js';
import type { Waiting } from './patience.js';
import { IdleMemory } from './idle-memory.js';
import { Patience } from './patience.js';
import type { RegistrySession } from './session.js';
import { PartsReader } from './transfer-parts.js';
import { checkSize, Stretch, type WantedBlob } from './transfer-stretch.js';
import { TransferTurn } from './transfer-turn.js';

type Session = Pick<RegistrySession, 'openBlob'>;

/** All transfers of blobs on this node: fair between users, and bounded in memory by connections × rangeBytes. */
export class Transfers {
  /** Connections that are read from. */
  readonly #turns: Turns;
  /** Parts in memory. */
  readonly #windows: Turns;
  readonly #memory = new IdleMemory();
  /** By registry, where there is a limit. */
  readonly #rates = new Map<string, ByteRate>();

  /** `rateOf` says how many bytes per second a registry may send to this node; 0 is no limit. */
  constructor(
    private limits: DownloadConfig,
    private readonly rateOf: (registry: string) => number,
  ) {
    this.#turns = new Turns(limits.connections, limits.connectionsPerUser);
    this.#windows = new Turns(limits.connections, limits.connectionsPerUser);
  }

  /**
   * The bytes of a blob, once each and in order: transfers that break off are resumed, and a large blob comes in
   * parts, several at once, if the registry can do that and is not fast enough without. At most one byte more
   * than `descriptor.size` comes; the digest is the reader's to check.
   */
  bytes(
    session: Session,
    uid: number,
    reference: Reference,
    descriptor: Descriptor,
    waiting: Waiting,
  ): AsyncGenerator<Buffer> {
    const blob = this.#wanted(session, uid, reference, descriptor);
    const { rangeBytes } = this.limits;
    const { size } = descriptor;
    return size > 2 * rangeBytes
      ? new PartsReader(blob, { windows: this.#windows, partBytes: rangeBytes }, waiting).bytes()
      : new Stretch(blob, 0, size, waiting, 'go-on').bytes();
  }

  /**
   * Whether the registry would let us have a blob, found out as a download would begin, without its bytes. Throws
   * what `bytes` would throw.
   */
  async probe(
    session: Session,
    uid: number,
    reference: Reference,
    descriptor: Descriptor,
    waiting: Waiting,
  ): Promise<void> {
    const blob = this.#wanted(session, uid, reference, descriptor);
    const patience = new Patience(this.limits, waiting.signal, waiting.onWait);
    const turn = new TransferTurn(this.#turns, uid, waiting);
    for (;;) {
      try {
        await turn.take();
        const answer = await session.openBlob(reference, descriptor.digest, { from: 0, to: 0 }, waiting);
        answer.discard();
        checkSize(answer, blob);
        return;
      } catch (error) {
        turn.giveBack();
        await patience.pauseAfter(error);
      } finally {
        turn.giveBack();
      }
    }
  }

  /** Takes effect for transfers that begin from now on; numbers of connections at once. */
  update(limits: DownloadConfig): void {
    this.limits = limits;
    for (const turns of [this.#turns, this.#windows])
      turns.update(limits.connections, limits.connectionsPerUser);
  }

  #wanted(session: Session, uid: number, reference: Reference, descriptor: Descriptor): WantedBlob {
    const rate = this.#rate(reference.registry);
    return {
      session,
      uid,
      reference,
      descriptor,
      retries: this.limits,
      turns: this.#turns,
      rate,
      memory: this.#memory,
    };
  }

  #rate(registry: string): ByteRate | undefined {
    const bytesPerSecond = this.rateOf(registry);
    if (bytesPerSecond === 0) {
      this.#rates.delete(registry);
      return undefined;
    }
    const rate = this.#rates.get(registry) ?? new ByteRate(bytesPerSecond);
    rate.update(bytesPerSecond);
    this.#rates.set(registry, rate);
    return rate;
  }
}
