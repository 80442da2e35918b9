import type { ShortNames } from '../image/short-names.js';
import type { HttpLimits } from '../registry/http.js';
import type { RetryLimits } from '../registry/patience.js';

/** The daemon's configuration with every default filled in. stowage.toml has the same shape in snake_case. */
export interface Config {
  /** single-user: only the daemon's own uid may call, and the sockets belong to it alone. */
  mode: 'service' | 'single-user';
  listen: { socket: string; blobSocket: string };
  /** Where metrics are served; undefined if nowhere. */
  metrics: MetricsAddress | undefined;
  store: StoreConfig;
  resolve: ResolveConfig;
  download: DownloadConfig;
  limits: LimitsConfig;
  /** What one unpacking of an image may use. */
  budget: { maxBytes: number; maxInodes: number; maxSeconds: number; maxDepth: number };
  image: { squashfs: 'unpack' | 'mount' };
  container: ContainerConfig;
  shortNames: ShortNames;
  policy: PolicyConfig;
  /** By the host[:port] of a reference, in lower case. */
  registries: Record<string, RegistrySettings>;
  /** Host directories and files that every container of this site shows. */
  mounts: SiteMount[];
  devices: DevicesConfig;
}

export type MetricsAddress = { socket: string } | { host: string; port: number };

export interface StoreConfig {
  directory: string;
  /** Of the blobs; 0 is no limit. */
  maxBytes: number;
  maxBlobs: number;
  /** Blobs that were not used for longer are removed; 0 keeps them. */
  maxAgeMs: number;
  /** Left free on the file system. */
  minFreeBytes: number;
  /** A directory on a file system that all nodes share; undefined if there is none. */
  shared: string | undefined;
}

export type PullPolicy = 'missing' | 'always' | 'never';

export interface ResolveConfig {
  /** How long an answer of a registry about a tag may be used again by the same user without asking. */
  ttlMs: number;
  /** For callers who do not say. */
  pull: PullPolicy;
  /** How old an answer may be to be used while the registry cannot be asked. */
  maxAgeMs: number;
}

export type DownloadConfig = HttpLimits &
  RetryLimits & {
    /** Layers of one image at once. */
    parallelLayers: number;
    /** Transfers at once, of all users together, and of one user. */
    connections: number;
    connectionsPerUser: number;
    /** What one transfer asks for of a larger layer, where the registry can send parts. */
    rangeBytes: number;
    /** For all of one image. */
    deadlineMs: number;
  };

export interface LimitsConfig {
  /** Prepare calls that deal with registries at once; others wait. */
  requests: number;
  requestsPerUser: number;
}

/** For callers who do not say. */
export interface ContainerConfig {
  /** Whether ranks see the user's home directory. */
  home: boolean;
  /** Whether ranks can write to their copy of the image. */
  writable: boolean;
}

/** Patterns of names; see policy/allowed.ts. */
export interface PolicyConfig {
  allow: string[];
  deny: string[];
  /** Options that nobody may use; see policy/options.ts. */
  denyOptions: string[];
  /** Added to a refusal: whom to ask. */
  message: string;
}

export interface RegistrySettings {
  /** Plain http. */
  http: boolean;
  /** A PEM file with authorities to be trusted besides the system's. */
  ca: string | undefined;
  /** Tried in order before the registry itself: "host[:port]" or "host[:port]/prefix". */
  mirrors: string[];
  /** All transfers together; 0 is no limit. */
  maxBytesPerSecond: number;
  blocked: boolean;
  /** Origins ("https://auth.example.org") to which logins may be sent though they are not the registry's own. */
  tokenRealms: string[];
}

/** Devices of the Container Device Interface; stowage.toml has them in [cdi]. */
export interface DevicesConfig {
  /** With specifications; a later one goes before an earlier one. */
  directories: string[];
  /** "vendor.com/class=name" of what every container gets. */
  default: string[];
  /** "vendor.com/class" of GPUs as Slurm hands them out. */
  gpuKinds: string[];
}

export interface SiteMount {
  source: string;
  target: string;
  readOnly: boolean;
  optional: boolean;
}
