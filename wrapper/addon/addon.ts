import { createRequire } from 'node:module';
import { join } from 'node:path';

import { reasonOf, StowageError, systemErrorCode } from '../error.js';
import { packageRoot } from '../package-root.js';

export interface PeerCredentials {
  pid: number;
  uid: number;
  gid: number;
}

/** A file and its digest in the making, off the main thread. */
export interface DigestWriter {
  /**
   * Resolves when the bytes are in the file, behind those before; until then they must not change, and nothing else
   * may be asked. After a failure neither the file nor the digest can be gone on with.
   */
  append(buffers: readonly Uint8Array[]): Promise<void>;
  /** The digest in hex, at the end. */
  end(): string;
}

/** What Node lacks: system calls, and digests off the main thread. Failures are Errors with code, errno, syscall and path, as Node's own. */
interface Addon {
  /** unix(7) SO_PEERCRED: who connected, as the kernel recorded it at connect(2). */
  peerCredentials(socketFd: number): PeerCredentials;
  /** unix(7) SCM_RIGHTS: sends one byte with at most 253 descriptors attached; never waits (EAGAIN). */
  sendDescriptors(socketFd: number, byte: number, fds: readonly number[]): void;
  /** unix(7) SIOCOUTQ: bytes that were sent and that the other side has not received; 0 once it has closed. */
  unreceivedBytes(socketFd: number): number;
  /** unix(7): one datagram to a path or, after "@", an abstract name; never waits (EAGAIN). */
  sendDatagram(address: string, text: string): void;
  /** flock(2) without waiting: false if somebody else holds it. */
  lockFile(fd: number, exclusive: boolean): boolean;
  /** open(2) O_TMPFILE: a nameless file of mode 0600. The caller closes the descriptor. */
  openTemporary(directory: string): number;
  /** linkat(2): names a file of openTemporary; EEXIST if the name is taken. */
  linkTemporary(fd: number, path: string): void;
  /** fsync(2) of a directory: resolves when the names in it are on the disk. */
  syncDirectory(path: string): Promise<void>;
  /** malloc_trim(3): gives freed memory back to the system. */
  trimHeap(): void;
  /** Writes the file from its beginning; the digest is computed by Node's own OpenSSL. */
  DigestWriter: new (fd: number, algorithm: 'sha256' | 'sha512') => DigestWriter;
}

export const addon: Addon = load();

function load(): Addon {
  const places = [join(packageRoot, 'build/lib/stowage_addon.node'), join(packageRoot, 'stowage_addon.node')];
  const require = createRequire(import.meta.url);
  for (const place of places) {
    try {
      return require(place) as Addon;
    } catch (error) {
      if (systemErrorCode(error) !== 'MODULE_NOT_FOUND') {
        throw new StowageError(
          'addon-missing',
          `${place} cannot be loaded (${reasonOf(error)}): build it again on this machine with ` +
            '"make -C wrapper/addon", for the Node that runs stowaged',
          { cause: error },
        );
      }
    }
  }
  throw new StowageError(
    'addon-missing',
    `stowage_addon.node is missing (looked for ${places.join(' and ')}): build it with "make -C wrapper/addon"`,
  );
}
