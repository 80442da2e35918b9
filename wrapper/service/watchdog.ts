import { reasonOf } from '../error.js';
import type { Log } from '../telemetry/log.js';
import type { ServiceManager } from './manager.js';

/**
 * Tells systemd that all is well as long as `check` says so, twice within the time after which systemd would
 * end this process: WatchdogSec= of stowaged.service. `check` gets how long it may take.
 */
export class Watchdog {
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly manager: ServiceManager,
    private readonly check: (limitMs: number) => Promise<void>,
    private readonly log: Log,
  ) {}

  start(): void {
    const { watchdogMs } = this.manager;
    if (watchdogMs !== undefined) this.#again(watchdogMs / 2);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #again(periodMs: number): void {
    this.#timer = setTimeout(() => {
      void this.#ping(periodMs / 2).then(() => {
        if (this.#timer !== undefined) this.#again(periodMs);
      });
    }, periodMs / 2);
  }

  async #ping(limitMs: number): Promise<void> {
    try {
      await this.check(limitMs);
      this.manager.keepAlive();
    } catch (error) {
      this.log.write('error', 'not answering', { message: reasonOf(error) });
    }
  }
}
