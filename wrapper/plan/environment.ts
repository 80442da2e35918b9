import type { Image } from '../image/image.js';
import type { Reference } from '../image/reference.js';

export interface EnvironmentPlan {
  unset: string[];
  set: { name: string; value: string }[];
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

/** What tells a rank which rank it is must come from Slurm, whatever an image was built with. */
const jobOwn = /^(?:SLURM|SLURMD|PMI|PMIX|STOWAGE)_/;

/** How the job's environment changes on the way in: what the image sets wins over what the job has. */
export function planEnvironment(image: Image, reference: Reference): EnvironmentPlan {
  const set = new Map([['PATH', defaultPath]]);
  for (const entry of image.config.environment) {
    const equals = entry.indexOf('=');
    const name = entry.slice(0, Math.max(equals, 0));
    // Without "=" there is no value to set, and a NUL cannot be handed to execve.
    if (name === '' || entry.includes('\0') || jobOwn.test(name)) continue;
    set.set(name, entry.slice(equals + 1));
  }
  set.set('STOWAGE_IMAGE', reference.canonical);
  set.set('STOWAGE_IMAGE_DIGEST', image.digest);
  return {
    unset: hostOnly.filter((name) => !set.has(name)),
    set: [...set].map(([name, value]) => ({ name, value })),
  };
}
