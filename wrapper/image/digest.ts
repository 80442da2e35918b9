import { createHash } from 'node:crypto';

/** Hex digits of each algorithm that OCI image-spec v1.1 descriptor.md, "Registered algorithms", names. */
const hexLengths = { sha256: 64, sha512: 128 } as const;

export type Algorithm = keyof typeof hexLengths;

export const algorithms = Object.keys(hexLengths) as Algorithm[];

/** "sha256:" and 64 lower-case hex digits, or "sha512:" and 128. */
export const digestPattern = '^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$';

const digestExpression = new RegExp(digestPattern);

export function isDigest(text: string): boolean {
  return digestExpression.test(text);
}

/** Splits a digest that isDigest accepts; safe to use as path components. */
export function splitDigest(digest: string): { algorithm: Algorithm; hex: string } {
  if (!isDigest(digest)) throw new TypeError(`not a digest: ${JSON.stringify(digest.slice(0, 100))}`);
  const colon = digest.indexOf(':');
  return { algorithm: digest.slice(0, colon) as Algorithm, hex: digest.slice(colon + 1) };
}

export function digestOf(bytes: Uint8Array, algorithm: Algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}
