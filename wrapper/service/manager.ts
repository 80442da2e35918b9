import { addon } from '../addon/addon.js';

/** Tells systemd, or whoever started this process, how it is doing: sd_notify(3). Without one: does nothing. */
export class ServiceManager {
  /** How often systemd wants to hear that all is well; undefined if it does not, sd_watchdog_enabled(3). */
  readonly watchdogMs: number | undefined;
  readonly #address: string | undefined;

  constructor(environment: NodeJS.ProcessEnv = process.env) {
    const { NOTIFY_SOCKET: address, WATCHDOG_USEC: microseconds, WATCHDOG_PID: pid } = environment;
    // Others, such as vsock:, are for virtual machines.
    if (address !== undefined && /^[/@]./.test(address)) this.#address = address;
    const isMeant = pid === undefined || Number(pid) === process.pid;
    const ms = Number(microseconds ?? 0) / 1000;
    if (this.#address !== undefined && isMeant && ms > 0) this.watchdogMs = ms;
  }

  ready(status: string): void {
    this.#notify(['READY=1', `STATUS=${status}`]);
  }

  /** Between this and the next ready() the configuration is read again. */
  reloading(): void {
    // CLOCK_MONOTONIC, which is what hrtime reads.
    this.#notify(['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`]);
  }

  stopping(): void {
    this.#notify(['STOPPING=1', 'STATUS=Stopping']);
  }

  keepAlive(): void {
    this.#notify(['WATCHDOG=1']);
  }

  #notify(lines: string[]): void {
    if (this.#address === undefined) return;
    try {
      // A line break would begin another variable.
      addon.sendDatagram(this.#address, lines.map((line) => line.replaceAll('\n', ' ')).join('\n'));
    } catch {
      // systemd that does not listen draws its own conclusions; the service goes on.
    }
  }
}
