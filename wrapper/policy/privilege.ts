import { readFileSync } from 'node:fs';

import { StowageError } from '../error.js';

/**
 * Throws `start-refused` if this process is root or holds a capability: what it parses comes from
 * strangers, so it must have nothing worth stealing. `status` is /proc/self/status, proc(5).
 */
export function refusePrivilege(status = readFileSync('/proc/self/status', 'utf8')): void {
  const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
  const uids = field('Uid').split(/\s+/);
  if (uids.length !== 4 || uids.includes('0')) {
    throw new StowageError(
      'start-refused',
      'stowaged does not run as root: start it as a user of its own, for example with User=stowage in its systemd unit',
    );
  }
  for (const set of ['CapEff', 'CapPrm']) {
    if (!/^0+$/.test(field(set))) {
      throw new StowageError(
        'start-refused',
        `stowaged does not run with capabilities (${set} is ${field(set)}): take them away, for example with ` +
          'CapabilityBoundingSet= in its systemd unit',
      );
    }
  }
}
