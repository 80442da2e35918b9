import type { Image } from '../image/image.js';
import { jobOwn } from '../settings/job-own.js';
import type { Wishes } from './wishes.js';

export interface EnvironmentPlan {
  unset: string[];
  set: PlannedVariable[];
}

/** EnvironmentVariable of proto/stowage/v1/image.proto. */
export interface PlannedVariable {
  name: string;
  value: string;
  unlessSet: boolean;
}

/**
 * Variables that point the host's dynamic loader and C library at host files (ld.so(8), locale(7));
 * inside, those would be missing or, worse, of another version.
 */
const hostOnly = [
  'LD_LIBRARY_PATH',
  'LD_PRELOAD',
  'LD_AUDIT',
  'LD_DEBUG',
  'LD_DEBUG_OUTPUT',
  'LD_BIND_NOT',
  'LD_ORIGIN_PATH',
  'LD_PROFILE',
  'GCONV_PATH',
  'LOCPATH',
  'NLSPATH',
];

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * How the job's environment changes on the way in: what the image sets wins over what the job has, what devices set
 * over both, and what the user asked for over all. `name` is what the image is called in full; `home` says whether the
 * home directory is shown.
 */
export function planEnvironment(
  image: Image,
  name: string,
  { options, devices }: Pick<Wishes, 'options' | 'devices'>,
  home: boolean,
): EnvironmentPlan {
  const set = new Map([['PATH', defaultPath], ...ofImage(image)]);
  if (!home && !set.has('HOME')) set.set('HOME', options.root ? '/root' : '/');
  for (const variable of devices.environment) set.set(variable.name, variable.value);
  const ofJob = new Set<string>();
  for (const { name: variable, value } of options.environment) {
    if (value === undefined) {
      ofJob.add(variable);
    } else {
      ofJob.delete(variable);
      set.set(variable, value);
    }
  }
  set.set('STOWAGE_IMAGE', name);
  // A step in an image without a digest must not show that of the step around it.
  if (image.digest !== '') set.set('STOWAGE_IMAGE_DIGEST', image.digest);
  return {
    unset: [...hostOnly, 'STOWAGE_IMAGE_DIGEST'].filter(
      (variable) => !set.has(variable) && !ofJob.has(variable),
    ),
    set: [...set].map(([variable, value]) => ({ name: variable, value, unlessSet: ofJob.has(variable) })),
  };
}

function ofImage({ config }: Image): [string, string][] {
  return config.environment.flatMap((entry): [string, string][] => {
    const equals = entry.indexOf('=');
    const variable = entry.slice(0, Math.max(equals, 0));
    // Without "=" there is no value to set, and a NUL cannot be handed to execve.
    if (variable === '' || entry.includes('\0') || jobOwn.test(variable)) return [];
    return [[variable, entry.slice(equals + 1)]];
  });
}
