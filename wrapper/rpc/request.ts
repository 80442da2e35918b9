import { StowageError } from '../error.js';
import { isDigest } from '../image/digest.js';
import { quote } from '../image/quote.js';
import { protocol, release } from '../package-root.js';
import { isCleanAbsolute } from '../plan/host-path.js';
import type { HostDirectories } from '../plan/mounts.js';
import type { PrepareRequestMessage } from './definitions.js';

/** A PrepareRequest whose every field has been looked at. */
export interface PrepareInput {
  reference: string;
  job: { jobId: number; stepId: number; nodeName: string };
  unpackedDigests: readonly string[];
  host: HostDirectories;
}

export const thisSide = { protocol, software: `stowaged ${release}` };

const longestReference = 4096;
const mostDigests = 10_000;
const mostDirectories = 64;

/** Throws `protocol-mismatch` or `request-invalid`. */
export function checkRequest(message: PrepareRequestMessage): PrepareInput {
  const client = message.client ?? {};
  if (client.protocol !== thisSide.protocol) {
    throw new StowageError(
      'protocol-mismatch',
      `stowage-enter and stowaged do not fit: ${quote(client.software || 'an unnamed client').slice(1, -1)} speaks ` +
        `protocol ${client.protocol ?? 0}, ${thisSide.software} speaks ${thisSide.protocol}; install both from one release`,
    );
  }
  if (message.reference.length > longestReference) {
    throw new StowageError(
      'reference-malformed',
      `the image name is longer than ${longestReference} characters`,
    );
  }
  if (message.unpackedDigests.length > mostDigests || !message.unpackedDigests.every(isDigest)) {
    throw invalid('unpacked_digests holds something that is not a digest, or too many');
  }
  if (message.hostDirectories.length > mostDirectories) {
    throw invalid(`host_directories names more than ${mostDirectories} directories`);
  }
  const optional: [string, string][] = [
    ['home_directory', message.homeDirectory],
    ['working_directory', message.workingDirectory],
  ];
  for (const [field, path] of optional) if (path !== '') checkPath(field, path);
  for (const path of message.hostDirectories) {
    checkPath('host_directories', path);
    if (path === '/') throw invalid('host_directories holds "/", which would hide the image');
  }
  return {
    reference: message.reference,
    job: {
      jobId: message.job?.jobId ?? 0,
      stepId: message.job?.stepId ?? 0,
      nodeName: (message.job?.nodeName ?? '').slice(0, 255),
    },
    unpackedDigests: message.unpackedDigests,
    host: {
      home: message.homeDirectory,
      working: message.workingDirectory,
      further: message.hostDirectories,
    },
  };
}

function checkPath(field: string, path: string): void {
  if (!isCleanAbsolute(path))
    throw invalid(`${field} holds ${quote(path)}, which is not a clean absolute path`);
}

function invalid(problem: string): StowageError {
  return new StowageError(
    'request-invalid',
    `stowage-enter sent a request that cannot be used: ${problem}; report it`,
  );
}
