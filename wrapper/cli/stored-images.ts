import type { StoredImageMessage } from '../rpc/definitions.js';
import { formatBytes, formatSpan } from './format.js';

/** An image on this node, as `images --json` prints it; stowage(1) explains the members, which stay as they are. */
export interface StoredImage {
  reference: string;
  /** null until the image was read. */
  digest: string | null;
  size_bytes: number;
  present_bytes: number;
  /** RFC 3339. */
  resolved: string;
  used: string;
  uid: number;
}

export function readImages(messages: readonly StoredImageMessage[] | null | undefined): StoredImage[] {
  return (messages ?? []).map((message) => ({
    reference: message.canonicalReference ?? '',
    digest: message.imageDigest || null,
    size_bytes: Number(message.sizeBytes ?? 0),
    present_bytes: Number(message.presentBytes ?? 0),
    resolved: timeOf(message.resolvedSeconds),
    used: timeOf(message.usedSeconds),
    uid: message.uid ?? 0,
  }));
}

export function imageHeadings(withUser: boolean): string[] {
  return ['IMAGE', 'DIGEST', 'SIZE', 'HERE', 'USED', ...(withUser ? ['UID'] : [])];
}

/** One line of a table for people. */
export function imageRow(image: StoredImage, withUser: boolean, nowMs: number): string[] {
  const { reference, digest, size_bytes: size, present_bytes: present, used, uid } = image;
  return [
    reference,
    digest === null ? '-' : shortDigest(digest),
    digest === null ? '-' : formatBytes(size),
    digest === null ? '-' : `${size === 0 ? 100 : Math.floor((100 * present) / size)}%`,
    ago(nowMs - Date.parse(used)),
    ...(withUser ? [String(uid)] : []),
  ];
}

/** "sha256:" and the first twelve digits, as docker and podman show it. */
function shortDigest(digest: string): string {
  return digest.slice(0, digest.indexOf(':') + 13);
}

/** The time of use is known to the minute. */
function ago(ms: number): string {
  return ms < 60_000 ? 'just now' : `${formatSpan(ms / 1000)} ago`;
}

function timeOf(seconds: StoredImageMessage['usedSeconds']): string {
  return new Date(Number(seconds ?? 0) * 1000).toISOString();
}
