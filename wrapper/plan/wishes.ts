import { type DevicePlan, noDevices } from '../cdi/plan-devices.js';
import { type ContainerOptions, type GivenOption, parseOptions } from '../settings/options.js';
import type { HostDirectories, Mount } from './mounts.js';
import { planUserMounts } from './user-mounts.js';

/** What a caller wants the container to be. */
export interface Wishes {
  host: HostDirectories;
  options: ContainerOptions;
  /** What was asked for, in that order. */
  mounts: readonly Mount[];
  /** With those that come without being asked for. */
  devices: DevicePlan;
}

/** All that can be said of the options before image and devices are known. Throws `option-invalid` or `request-invalid`. */
export function readWishes(host: HostDirectories, given: readonly GivenOption[]): Wishes {
  const options = parseOptions(given);
  return { host, options, mounts: planUserMounts(options.mounts, host), devices: noDevices };
}
