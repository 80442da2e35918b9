import type { PullPolicy } from '../config/config.js';
import { StowageError } from '../error.js';
import { isDigest } from '../image/digest.js';
import type { LocalFormat as ReadableFormat } from '../image/local-image.js';
import { quote, withoutCredentials } from '../image/quote.js';
import { protocol, release } from '../package-root.js';
import { isCleanAbsolute } from '../plan/host-path.js';
import type { HostDirectories } from '../plan/mounts.js';
import { type GivenOption, mostOptionBytes, mostOptions } from '../settings/options.js';
import {
  LocalFormat,
  type OptionMessage,
  type PrepareRequestMessage,
  RequestedPull,
  type ReportUnpackedRequestMessage,
} from './definitions.js';

/** A PrepareRequest whose every field has been looked at. */
export interface PrepareInput {
  reference: string;
  job: Job;
  /** Undefined for what the site says. */
  pull: PullPolicy | undefined;
  /** Only bring the image here. */
  prefetch: boolean;
  unpackedDigests: readonly string[];
  host: HostDirectories;
  /** Undefined for an image of a registry. */
  local: LocalInput | undefined;
  /** What was asked for besides the image, in the order in which it was. */
  options: readonly GivenOption[];
  /** Those variables of the job that say which devices it was given. */
  deviceEnvironment: ReadonlyMap<string, string>;
}

export interface Job {
  jobId: number;
  stepId: number;
  nodeName: string;
}

/** LocalImage of proto/stowage/v1/image.proto, whose comments say what each field means. */
export interface LocalInput {
  format: ReadableFormat | 'root-file-system';
  selector: string;
  digest: string;
}

export const thisSide = { protocol, software: `stowaged ${release}` };

const mostDigests = 10_000;
const mostDirectories = 64;
const mostDeviceVariables = 64;

/** A ReportUnpackedRequest whose every field has been looked at. */
export interface UnpackedReport {
  job: Job;
  imageDigest: string;
  unpackMs: number;
  treeBytes: number;
  treeInodes: number;
}

/** Undefined for what the site says. */
export const pullPolicies: ReadonlyMap<number, PullPolicy | undefined> = new Map([
  [RequestedPull.PULL_POLICY_UNSPECIFIED, undefined],
  [RequestedPull.PULL_POLICY_MISSING, 'missing'],
  [RequestedPull.PULL_POLICY_ALWAYS, 'always'],
  [RequestedPull.PULL_POLICY_NEVER, 'never'],
]);

/** Of a reference, where it is shown to administrators. */
const longestShown = 300;

/** What the caller wrote as its reference, before anything of it was looked at. */
export function shownReference(message: PrepareRequestMessage | undefined): string {
  // In this order: a password without its "@" would not be seen.
  return withoutCredentials(message?.reference ?? '').slice(0, longestShown);
}

/** Throws `protocol-mismatch` or `request-invalid`. */
export function checkRequest(message: PrepareRequestMessage): PrepareInput {
  checkClient(message.client);
  if (!pullPolicies.has(message.pull)) throw invalidRequest('pull names no policy of this protocol');
  if (message.prefetch && message.local) throw invalidRequest('prefetch is for images of registries only');
  if (message.unpackedDigests.length > mostDigests || !message.unpackedDigests.every(isDigest)) {
    throw invalidRequest('unpacked_digests holds something that is not a digest, or too many');
  }
  if (message.hostDirectories.length > mostDirectories) {
    throw invalidRequest(`host_directories names more than ${mostDirectories} directories`);
  }
  const optional: [string, string][] = [
    ['home_directory', message.homeDirectory],
    ['working_directory', message.workingDirectory],
  ];
  for (const [field, path] of optional) if (path !== '') checkPath(field, path);
  for (const path of message.hostDirectories) {
    checkPath('host_directories', path);
    if (path === '/') throw invalidRequest('host_directories holds "/", which would hide the image');
  }
  return {
    reference: message.reference,
    job: jobOf(message.job),
    pull: pullPolicies.get(message.pull),
    prefetch: message.prefetch,
    unpackedDigests: message.unpackedDigests,
    host: {
      home: message.homeDirectory,
      working: message.workingDirectory,
      further: message.hostDirectories,
    },
    local: message.local ? checkLocal(message.local) : undefined,
    options: checkOptions(message.options),
    deviceEnvironment: new Map(
      checkCount('device_environment', message.deviceEnvironment, mostDeviceVariables).map(
        ({ name, value }) => [name ?? '', value ?? ''],
      ),
    ),
  };
}

/** What they mean is read later. */
export function checkOptions(options: readonly OptionMessage[]): GivenOption[] {
  let bytes = 0;
  return checkCount('options', options, mostOptions).map((option) => {
    const { name, value, origin } = {
      name: option.name ?? '',
      value: option.value ?? '',
      origin: option.origin ?? '',
    };
    bytes += Buffer.byteLength(value);
    if (bytes > mostOptionBytes) throw invalidRequest(`options hold more than ${mostOptionBytes} bytes`);
    return { name, value, origin };
  });
}

function checkCount<Item>(field: string, items: readonly Item[], most: number): readonly Item[] {
  if (items.length > most) throw invalidRequest(`${field} holds more than ${most}`);
  return items;
}

/** Throws `protocol-mismatch` or `request-invalid`. */
export function checkReport(message: ReportUnpackedRequestMessage): UnpackedReport {
  checkClient(message.client);
  const { imageDigest } = message;
  if (!isDigest(imageDigest)) throw invalidRequest('image_digest is not a digest');
  return {
    job: jobOf(message.job),
    imageDigest,
    unpackMs: wholeNumber('unpack_milliseconds', message.unpackMilliseconds),
    treeBytes: wholeNumber('tree_bytes', message.treeBytes),
    treeInodes: wholeNumber('tree_inodes', message.treeInodes),
  };
}

export function checkClient(version: PrepareRequestMessage['client']): void {
  const client = version ?? {};
  if (client.protocol === thisSide.protocol) return;
  throw new StowageError(
    'protocol-mismatch',
    `stowage-enter and stowaged do not fit: ${quote(client.software || 'an unnamed client').slice(1, -1)} speaks ` +
      `protocol ${client.protocol ?? 0}, ${thisSide.software} speaks ${thisSide.protocol}; install both from one release`,
  );
}

export function jobOf(job: PrepareRequestMessage['job']): Job {
  return {
    jobId: job?.jobId ?? 0,
    stepId: job?.stepId ?? 0,
    nodeName: (job?.nodeName ?? '').slice(0, 255),
  };
}

/** What protobufjs makes of a uint64, which may be more than a number can hold. */
function wholeNumber(field: string, value: number | { toNumber(): number }): number {
  const number = typeof value === 'number' ? value : value.toNumber();
  if (!Number.isSafeInteger(number) || number < 0) throw invalidRequest(`${field} is more than can be`);
  return number;
}

const formats = new Map<number, LocalInput['format']>([
  [LocalFormat.FORMAT_OCI_LAYOUT, 'oci-layout'],
  [LocalFormat.FORMAT_DOCKER_ARCHIVE, 'docker-archive'],
  [LocalFormat.FORMAT_ROOT_FILE_SYSTEM, 'root-file-system'],
]);

function checkLocal(local: NonNullable<PrepareRequestMessage['local']>): LocalInput {
  const format = formats.get(local.format ?? LocalFormat.FORMAT_UNSPECIFIED);
  const selector = local.selector ?? '';
  const digest = local.digest ?? '';
  if (format === undefined) throw invalidRequest('local.format names no format of this protocol');
  if (format === 'root-file-system' ? selector !== '' : digest !== '') {
    throw invalidRequest('local holds a field that its format does not have');
  }
  if (digest !== '' && !isDigest(digest)) throw invalidRequest('local.digest is not a digest');
  return { format, selector, digest };
}

function checkPath(field: string, path: string): void {
  if (!isCleanAbsolute(path))
    throw invalidRequest(`${field} holds ${quote(path)}, which is not a clean absolute path`);
}

/** The caller, a program, did what no program should. */
export function invalidRequest(problem: string): StowageError {
  return new StowageError(
    'request-invalid',
    `stowage-enter sent a request that cannot be used: ${problem}; report it`,
  );
}
