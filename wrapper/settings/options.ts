import { StowageError } from '../error.js';
import { quote } from '../image/quote.js';
import { type EnvSpec, parseEnv } from './env-spec.js';
import { type MountSpec, parseMounts } from './mount-spec.js';
import type { Refuse } from './refuse.js';

/** Option of proto/stowage/v1/image.proto. */
export interface GivenOption {
  name: string;
  value: string;
  /** For sentences; empty for what was given to srun. */
  origin: string;
}

/** A mount, and what asked for it. */
export type AskedMount = MountSpec & { origin: string };

/** Of one request, and the values of all of them. */
export const mostOptions = 256;
export const mostOptionBytes = 256 * 1024;
const mostMounts = 256;
export const namespaces = ['net', 'ipc', 'uts'] as const;
export type NamespaceName = (typeof namespaces)[number];

/** Given as "workdir": start where the image says, not where the job was submitted. */
export const workdirOfImage = 'image';

/** What was asked for besides the image. */
export interface ContainerOptions {
  mounts: readonly AskedMount[];
  /** Absolute, as it was written, or `workdirOfImage`. */
  workingDirectory: string | undefined;
  environment: readonly EnvSpec[];
  /** This and the next: undefined for what the site says. */
  home: boolean | undefined;
  writable: boolean | undefined;
  root: boolean;
  entrypoint: boolean;
  /** CDI names, as they were written; undefined if there are none. */
  devices: readonly string[] | undefined;
  unshare: readonly NamespaceName[];
}

export const noOptions: ContainerOptions = {
  mounts: [],
  workingDirectory: undefined,
  environment: [],
  home: undefined,
  writable: undefined,
  root: false,
  entrypoint: false,
  devices: undefined,
  unshare: [],
};

/** How the value of each option becomes part of the whole. */
type Readers = Record<
  string,
  (value: string, refuse: Refuse, before: ContainerOptions, origin: string) => Partial<ContainerOptions>
>;

const flagReaders = {
  home: (value, refuse) => ({ home: parseFlag(value, refuse) }),
  writable: (value, refuse) => ({ writable: parseFlag(value, refuse) }),
  root: (value, refuse) => ({ root: parseFlag(value, refuse) }),
  entrypoint: (value, refuse) => ({ entrypoint: parseFlag(value, refuse) }),
} satisfies Readers;

const readers = {
  mount: (value, refuse, { mounts }, origin) => ({ mounts: addMounts(mounts, value, refuse, origin) }),
  workdir: (value, refuse) => ({ workingDirectory: parseWorkdir(value, refuse) }),
  env: (value, refuse, { environment }) => ({ environment: [...environment, ...parseEnv(value, refuse)] }),
  ...flagReaders,
  device: (value, refuse, { devices = [] }) => ({ devices: [...devices, ...splitList(value, refuse)] }),
  unshare: (value, refuse) => ({ unshare: parseNamespaces(value, refuse) }),
  // stowage-enter does what these ask for, if the policy lets it.
  name: () => ({}),
  save: () => ({}),
} satisfies Readers;

export type OptionName = keyof typeof readers;
export const optionNames = Object.keys(readers) as readonly OptionName[];

/** Whether its values are "yes" and "no". */
export function isFlag(name: string): boolean {
  return Object.hasOwn(flagReaders, name);
}

export function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(readers, name);
}

/**
 * Puts options together: of mounts, variables and devices all hold, of anything else the last. Throws
 * `option-invalid` for a value, and `request-invalid` for a name, that is none.
 */
export function parseOptions(given: readonly GivenOption[]): ContainerOptions {
  return given.reduce((before, { name, value, origin: written }) => {
    if (!isOptionName(name)) {
      throw new StowageError(
        'request-invalid',
        `there is no option ${quote(name)} in this release of stowaged; known are ${optionNames.join(', ')}`,
      );
    }
    const origin = written === '' ? `--image-${name}` : written;
    const change = readOption(name, value, before, (reason) => refuseOption(origin, reason), origin);
    return { ...before, ...change };
  }, noOptions);
}

/** Calls `refuse` unless the value could be given to srun. */
export function checkOption(name: OptionName, value: string, refuse: Refuse): void {
  readOption(name, value, noOptions, refuse, '');
}

function readOption(
  name: OptionName,
  value: string,
  before: ContainerOptions,
  refuse: Refuse,
  origin: string,
): Partial<ContainerOptions> {
  return readers[name](value, refuse, before, origin);
}

/** Throws `option-invalid`. */
export function refuseOption(origin: string, reason: string): never {
  throw new StowageError('option-invalid', `${origin}: ${reason}`);
}

function addMounts(
  before: readonly AskedMount[],
  value: string,
  refuse: Refuse,
  origin: string,
): AskedMount[] {
  const mounts = [...before, ...parseMounts(value, refuse).map((spec) => ({ ...spec, origin }))];
  if (mounts.length > mostMounts)
    return refuse(`there are more than ${mostMounts} mounts; name directories above`);
  return mounts;
}

function parseFlag(value: string, refuse: Refuse): boolean {
  if (value !== 'yes' && value !== 'no') return refuse(`${quote(value)} is neither "yes" nor "no"`);
  return value === 'yes';
}

function parseWorkdir(value: string, refuse: Refuse): string {
  if (/\p{Cc}/u.test(value)) return refuse(`${quote(value)} holds a control character`);
  if (!value.startsWith('/') && value !== workdirOfImage)
    return refuse(`${quote(value)} must be an absolute path in the container, or "${workdirOfImage}"`);
  return value;
}

function parseNamespaces(value: string, refuse: Refuse): NamespaceName[] {
  const names = splitList(value, refuse).map(
    (name) =>
      namespaces.find((known) => known === name) ??
      refuse(`${quote(name)} is no namespace that can be had; there are ${namespaces.join(', ')}`),
  );
  return [...new Set(names)];
}

function splitList(value: string, refuse: Refuse): string[] {
  const names = value.split(',');
  if (names.includes('')) return refuse(`${quote(value)} holds an empty name`);
  return names;
}
