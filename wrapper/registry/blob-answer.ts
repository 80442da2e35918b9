import { RegistryError } from './error.js';
import type { HttpResponse } from './http.js';

/** A blob, or part of it, on its way. */
export interface BlobAnswer {
  /** Where `body` begins: what was asked for, or 0 if the registry ignores Range. */
  from: number;
  /** Of the whole blob, if the registry says it. */
  totalBytes: number | undefined;
  /** Whether it answered with a part (206). */
  partial: boolean;
  /** Throws `registry-failing` if it stalls or breaks off. */
  body: AsyncIterable<Buffer>;
  /** For a body that is not wanted. */
  discard(): void;
}

/** Both ends count, from 0; without `to` it is all that follows. */
export interface Range {
  from: number;
  to?: number;
}

/** RFC 9110 section 14.2; undefined for the whole. */
export function rangeHeader({ from, to }: Range): string | undefined {
  return from === 0 && to === undefined ? undefined : `bytes=${from}-${to ?? ''}`;
}

/** Reads the headers of a 200 or 206. Throws `registry-misbehaving` if another part came than was asked for. */
export function blobAnswer(
  response: HttpResponse,
  { from, to }: Range,
  registry: string,
  digest: string,
): BlobAnswer {
  const { status, headers, body } = response;
  const discard = (): void => response.discard();
  if (status === 200) {
    return { from: 0, totalBytes: count(headers['content-length']), partial: false, body, discard };
  }
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(headers['content-range'] ?? '') ?? [];
  if (
    first !== String(from) ||
    (to !== undefined && Number(last) > to) ||
    rangeHeader({ from, ...(to === undefined ? {} : { to }) }) === undefined
  ) {
    response.discard();
    throw new RegistryError(
      'registry-misbehaving',
      `registry ${registry} sent another part of ${digest} than it was asked for; tell whoever runs it`,
    );
  }
  return { from, totalBytes: count(total), partial: true, body, discard };
}

function count(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
