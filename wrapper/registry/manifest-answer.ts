import { digestOf, isDigest } from '../image/digest.js';
import { largestDocumentBytes } from '../image/json-document.js';
import type { Reference } from '../image/reference.js';
import { readAtMost } from './body.js';
import { RegistryError } from './error.js';
import type { HttpResponse } from './http.js';

export interface FetchedManifest {
  digest: string;
  bytes: Buffer;
  /** Without parameters; undefined if the registry does not say anything of use. */
  contentType: string | undefined;
}

/** Reads a manifest or index and checks its digest. `registry` is who sent it, `digest` what was asked for. */
export async function readManifest(
  response: HttpResponse,
  registry: string,
  { canonical }: Reference,
  digest: string | undefined,
): Promise<FetchedManifest> {
  const contentType = typeOf(response);
  if (contentType === 'text/html') {
    response.discard();
    throw new RegistryError(
      'registry-misbehaving',
      `registry ${registry} answered with a web page; check its host name and port`,
    );
  }
  const bytes = await readAtMost(response.body, largestDocumentBytes);
  if (bytes === undefined) {
    throw new RegistryError(
      'image-malformed',
      `the manifest of image ${canonical} is larger than ${largestDocumentBytes} bytes; ask whoever built it`,
    );
  }
  const expected = digest ?? digestHeader(response);
  const actual = digestOf(bytes, expected?.startsWith('sha512:') ? 'sha512' : 'sha256');
  if (expected !== undefined && actual !== expected) {
    throw new RegistryError(
      'content-mismatch',
      `registry ${registry} sent a manifest with digest ${actual} for image ${canonical} ` +
        `where ${expected} was expected; try again later, and tell whoever runs the registry`,
    );
  }
  return { digest: actual, bytes, contentType };
}

/** Docker-Content-Digest, if it is one. */
export function digestHeader({ headers }: HttpResponse): string | undefined {
  const digest = headers['docker-content-digest'];
  return typeof digest === 'string' && isDigest(digest) ? digest : undefined;
}

/** As in a descriptor. What is longer is no type, and would be remembered for each reference. */
const longestType = 255;

function typeOf({ headers }: HttpResponse): string | undefined {
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type === undefined || type.length > longestType) return undefined;
  return type === '' || type === 'application/octet-stream' || type === 'application/json' ? undefined : type;
}
