import type { PolicyConfig } from '../config/config.js';
import { StowageError } from '../error.js';
import { spellRegistry } from '../image/reference.js';

/** Room for the pieces that a name is held against; beyond that no pattern is meant in earnest. */
const mostStars = 16;

/**
 * Throws `image-denied`, with the site's own words behind it, unless the policy lets `name` be used: the full name
 * of an image in a registry, or the absolute path of one in a file. What is denied is denied; if something is
 * allowed, all else is denied. What is in a user's own files is the word of that user's programs: it keeps nobody
 * from anything that the kernel would let them do.
 */
export function refuseDenied(
  { allow, deny, message }: Pick<PolicyConfig, 'allow' | 'deny' | 'message'>,
  name: string,
): void {
  const denies = deny.find((pattern) => matches(pattern, name));
  if (denies === undefined && (allow.length === 0 || allow.some((pattern) => matches(pattern, name)))) return;
  const why = denies === undefined ? 'it is not among those that are allowed' : `"${denies}" is denied`;
  const remedy = message === '' ? 'use another image, or ask the administrators' : message;
  throw new StowageError('image-denied', `image ${name} may not be used at this site: ${why}; ${remedy}`);
}

/**
 * Whether a pattern of the policy is meant for a name. "*" stands for anything, "/" and nothing included; a pattern
 * without tag and digest is for all of them.
 */
export function matches(pattern: string, name: string): boolean {
  if (holds(pattern, name)) return true;
  return !isTagged(pattern) && !name.startsWith('/') && holds(pattern, name.slice(0, tagStart(name)));
}

/** What is wrong with a pattern, as the end of a sentence about it; undefined if it can be used. */
export function problemOfPattern(pattern: string): string | undefined {
  if (/[^!-~]/.test(pattern) && !pattern.startsWith('/')) return 'holds a space or a letter outside ASCII';
  if (pattern.split('*').length - 1 > mostStars) return `holds more than ${mostStars} "*"`;
  if (!pattern.includes('/') && !pattern.startsWith('*')) {
    return 'matches no image: names begin with a registry, as in "docker.io/library/ubuntu", and paths with "/"';
  }
  return problemOfRegistry(pattern);
}

/** A registry in another spelling than names have would be a pattern that nothing matches, and so no denial. */
function problemOfRegistry(pattern: string): string | undefined {
  const [written = ''] = pattern.split('/');
  if (written === '' || written.includes('*')) return undefined;
  const spelled = spellRegistry(written);
  if (spelled === undefined) return `matches no image: "${written}" is no registry`;
  if (spelled !== written)
    return `matches no image: registry "${written}" is written "${spelled}" in their names`;
  const isOfficial =
    spelled === 'docker.io' && !pattern.includes('/', spelled.length + 1) && !pattern.includes('*');
  return isOfficial ? 'matches no image: those names begin with "docker.io/library/"' : undefined;
}

/** Piece by piece, each at its first place: that takes no longer however the pattern is made. */
function holds(pattern: string, name: string): boolean {
  const pieces = pattern.split('*');
  const first = pieces[0] as string;
  if (pieces.length === 1) return name === first;
  const last = pieces.at(-1) as string;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = name.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

function isTagged(pattern: string): boolean {
  return tagStart(pattern) < pattern.length;
}

/** Where ":TAG" or "@DIGEST" begins; the length if there is none. */
function tagStart(name: string): number {
  const at = name.indexOf('@');
  if (at >= 0) return at;
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? colon : name.length;
}
