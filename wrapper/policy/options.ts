import type { PolicyConfig } from '../config/config.js';
import { StowageError } from '../error.js';
import { type GivenOption, isFlag } from '../settings/options.js';

/** Throws `option-denied`, with the site's own words behind it. To do without what is denied is allowed. */
export function refuseDeniedOptions(
  { denyOptions, message }: PolicyConfig,
  given: readonly GivenOption[],
): void {
  const denied = given.find(
    ({ name, value }) => denyOptions.includes(name) && !(isFlag(name) && value === 'no'),
  );
  if (!denied) return;
  const remedy = message === '' ? 'leave it out, or ask the administrators' : message;
  const from = denied.origin === '' ? '' : `, as ${denied.origin} has it,`;
  throw new StowageError(
    'option-denied',
    `--image-${denied.name}${from} may not be used at this site; ${remedy}`,
  );
}
