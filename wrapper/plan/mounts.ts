import type { stowage } from '#proto';

import type { SiteMount } from '../config/config.js';
import { isAtOrBelow } from './host-path.js';

/** Mount of proto/stowage/v1/image.proto, whose comments say what each field means. */
export type Mount = stowage.v1.Mount.$Properties & { source: string; target: string };

export interface HostDirectories {
  /** Empty when there is none. */
  home: string;
  /** Where the job was submitted; empty when unknown. */
  working: string;
  /** Needed at the same path, such as the PMIx server's. */
  further: readonly string[];
}

const kernel = ['/proc', '/sys', '/dev'];
const hostFiles = ['/etc/resolv.conf', '/etc/hosts', '/etc/hostname', '/etc/localtime'];

/** Where the image's own files live, or the kernel's; a host directory there would hide them. */
const imageOwn =
  /^\/(?:bin|boot|dev|etc|lib(?:32|64|x32)?|proc|run|sbin|sys|usr|var\/(?:cache|lib|log|run|spool))(?:\/|$)/;
/** Too much of the host to show for the sake of a working directory. */
const tooWide = new Set(['/', '/home', '/opt', '/var', '/srv', '/mnt', '/root']);

/**
 * What of the host a container shows without being asked for it, in the order in which it is to be mounted. Without
 * `showHome`, no mount shows all of the home directory.
 */
export function planMounts(
  { home, working, further }: HostDirectories,
  siteMounts: readonly SiteMount[],
  showHome: boolean,
): Mount[] {
  const mounts: Mount[] = [...kernel, '/tmp'].map((path) => same(path));
  mounts.push(...hostFiles.map((path) => same(path, { readOnly: true, optional: true })));
  if (showHome && home !== '' && home !== '/' && !imageOwn.test(home)) {
    add(mounts, same(home, { optional: true }));
  }
  const showsHome = home !== '' && isAtOrBelow(home, working);
  if (working !== '' && !tooWide.has(working) && !imageOwn.test(working) && (showHome || !showsHome)) {
    add(mounts, same(working, { optional: true }));
  }
  for (const path of further) add(mounts, same(path));
  mounts.push(...siteMounts.map((mount) => ({ ...mount, origin: '[[mounts]] of stowage.toml' })));
  return mounts;
}

/** Binds are recursive, so what lies below an earlier one is there already. */
function add(mounts: Mount[], mount: Mount): void {
  const visible = mounts.some(
    ({ source, target, readOnly }) => source === target && !readOnly && isAtOrBelow(mount.source, source),
  );
  if (!visible) mounts.push(mount);
}

function same(path: string, flags: { readOnly?: boolean; optional?: boolean } = {}): Mount {
  return { source: path, target: path, readOnly: false, optional: false, ...flags };
}
