import { constants } from 'node:os';

/** A signal asked the program to end. */
export class Interruption extends Error {
  constructor(readonly signalName: 'SIGINT' | 'SIGTERM' | 'SIGHUP') {
    super(`stopped by ${signalName}`);
    this.name = 'Interruption';
  }

  /** What a shell reports of a program that the signal ended. */
  get exitStatus(): number {
    return 128 + constants.signals[this.signalName];
  }
}
