import { stowage } from '#proto';

import type { DeviceMount } from './edits.js';

const { Kind, Propagation } = stowage.v1.Mount;
export const mountKind = { bind: Kind.KIND_BIND_UNSPECIFIED, tmpfs: Kind.KIND_TMPFS } as const;
const propagation = {
  unspecified: Propagation.PROPAGATION_UNSPECIFIED,
  private: Propagation.PROPAGATION_PRIVATE,
  slave: Propagation.PROPAGATION_SLAVE,
  shared: Propagation.PROPAGATION_SHARED,
  unbindable: Propagation.PROPAGATION_UNBINDABLE,
} as const;

/** The flags of a mount without where it is. */
export type MountFlags = Omit<DeviceMount, 'source' | 'target'>;

type Change = Partial<MountFlags>;

/**
 * Mount options of the OCI runtime specification ("Mounts") and of mount(8). A bind mount is always recursive: the
 * kernel lets nobody but root leave out what is mounted below. Times of access are the file system's own affair.
 */
const changes: Readonly<Record<string, Change>> = {
  bind: {},
  rbind: {},
  defaults: {},
  ro: { readOnly: true },
  rw: { readOnly: false },
  nosuid: { noSuid: true },
  suid: { noSuid: false },
  nodev: { noDev: true },
  dev: { noDev: false },
  noexec: { noExec: true },
  exec: { noExec: false },
  private: { propagation: propagation.private },
  slave: { propagation: propagation.slave },
  shared: { propagation: propagation.shared },
  unbindable: { propagation: propagation.unbindable },
  rprivate: { propagation: propagation.private, propagationRecursive: true },
  rslave: { propagation: propagation.slave, propagationRecursive: true },
  rshared: { propagation: propagation.shared, propagationRecursive: true },
  runbindable: { propagation: propagation.unbindable, propagationRecursive: true },
  atime: {},
  noatime: {},
  diratime: {},
  nodiratime: {},
  relatime: {},
  norelatime: {},
  strictatime: {},
  nostrictatime: {},
};

export const noFlags: MountFlags = {
  kind: mountKind.bind,
  readOnly: false,
  noSuid: false,
  noDev: false,
  noExec: false,
  propagation: propagation.unspecified,
  propagationRecursive: false,
  sizeBytes: 0,
  mode: 0,
};

/** What the option sets, or undefined if no mount of that kind has it. */
export function changeOf(option: string, kind: MountFlags['kind']): Change | undefined {
  if (Object.hasOwn(changes, option)) return changes[option];
  if (kind !== mountKind.tmpfs) return undefined;
  const size = /^size=(\d{1,12})([kmg]?)$/i.exec(option);
  if (size) return { sizeBytes: Number(size[1]) * unitOf(size[2] ?? '') };
  const mode = /^mode=([0-7]{3,4})$/.exec(option);
  return mode ? { mode: Number.parseInt(mode[1] ?? '', 8) } : undefined;
}

function unitOf(letter: string): number {
  return 1024 ** ['', 'k', 'm', 'g'].indexOf(letter.toLowerCase());
}
