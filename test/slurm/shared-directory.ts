import { chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';

import { account, serviceUser } from '../cluster/users.js';

/** A new directory for store.shared, which all nodes see: not below /tmp, of which each has one of its own. */
export const sharedDirectory = (): { path: string; remove: () => void } => {
  mkdirSync('/var/lib/stowage-test', { recursive: true });
  const path = mkdtempSync('/var/lib/stowage-test/shared-');
  const { uid, gid } = account(serviceUser);
  chownSync(path, uid, gid);
  return { path, remove: () => rmSync(path, { recursive: true }) };
};
