import type { Config } from '../config/config.js';
import { StowageError } from '../error.js';

/** Throws `caller-denied` unless this caller may use this daemon. */
export function admitCaller(mode: Config['mode'], callerUid: number, ownUid: number): void {
  if (mode === 'single-user' && callerUid !== ownUid) {
    throw new StowageError(
      'caller-denied',
      `this stowaged serves only the user with uid ${ownUid}; uid ${callerUid} must start one of their own`,
    );
  }
}
