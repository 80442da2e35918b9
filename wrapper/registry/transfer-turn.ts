import type { Turns } from '../policy/turns.js';
import type { Waiting } from './patience.js';

/** After so long who waits for a turn is told so. */
const silentMs = 2000;

/** How long a turn is kept that somebody else waits for. */
const sliceMs = 1000;

/**
 * The leave of one transfer to use the network, taken from the node's turns, given back whenever it does not read.
 * A long transfer lends it to other users who wait: its connection stays open meanwhile, and is not read from.
 */
export class TransferTurn {
  #giveBack: (() => void) | undefined;
  #takenAt = 0;

  constructor(
    private readonly turns: Turns,
    private readonly uid: number,
    private readonly waiting: Waiting,
  ) {}

  /** Rejects with the signal's reason. */
  async take(): Promise<void> {
    const { signal, onWait } = this.waiting;
    let unsay = (): void => undefined;
    const timer = setTimeout(() => {
      unsay = () => onWait('');
      const count = this.turns.takenCount;
      onWait(
        `waiting for a turn: ${count} ${count === 1 ? 'transfer is' : 'transfers are'} under way on this node`,
      );
    }, silentMs);
    try {
      this.#giveBack = await this.turns.take(this.uid, signal);
      this.#takenAt = performance.now();
    } finally {
      clearTimeout(timer);
      unsay();
    }
  }

  giveBack(): void {
    this.#giveBack?.();
    this.#giveBack = undefined;
  }

  /** Lets others go first if this turn lasts long already. */
  async lend(): Promise<void> {
    if (performance.now() - this.#takenAt < sliceMs || !this.turns.isWantedBesides(this.uid)) return;
    this.giveBack();
    await this.take();
  }
}
