import { type ContainerOptions, type GivenOption, parseOptions, refuseOption } from '../settings/options.js';
import type { HostDirectories, Mount } from './mounts.js';
import { planUserMounts } from './user-mounts.js';

/** What a caller wants the container to be. */
export interface Wishes {
  host: HostDirectories;
  options: ContainerOptions;
  /** What was asked for, in that order. */
  mounts: readonly Mount[];
}

/** All that can be said of the options before the image is known. Throws `option-invalid` or `request-invalid`. */
export function readWishes(host: HostDirectories, given: readonly GivenOption[]): Wishes {
  const options = parseOptions(given);
  if (options.devices) refuseOption('--image-device', 'this node has no CDI devices; leave it out');
  return { host, options, mounts: planUserMounts(options.mounts, host) };
}
