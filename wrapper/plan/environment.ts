import type { Image } from '../image/image.js';

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

/**
 * How the job's environment changes on the way in: what the image sets wins over what the job has. `name` is
 * what the image is called in full.
 */
export function planEnvironment(image: Image, name: string): EnvironmentPlan {
  const set = new Map([['PATH', defaultPath]]);
  for (const entry of image.config.environment) {
    const equals = entry.indexOf('=');
    const variable = entry.slice(0, Math.max(equals, 0));
    // Without "=" there is no value to set, and a NUL cannot be handed to execve.
    if (variable === '' || entry.includes('\0') || jobOwn.test(variable)) continue;
    set.set(variable, entry.slice(equals + 1));
  }
  set.set('STOWAGE_IMAGE', name);
  // A step in an image without a digest must not show that of the step around it.
  if (image.digest !== '') set.set('STOWAGE_IMAGE_DIGEST', image.digest);
  return {
    unset: [...hostOnly, 'STOWAGE_IMAGE_DIGEST'].filter((variable) => !set.has(variable)),
    set: [...set].map(([variable, value]) => ({ name: variable, value })),
  };
}
