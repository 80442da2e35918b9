import { optionNames } from '../settings/options.js';

const absolutePath = { type: 'string', pattern: '^/', maxLength: 4095 } as const;

function closed<Properties>(properties: Properties) {
  return { type: 'object', additionalProperties: false, properties } as const;
}

function section<Properties>(properties: Properties) {
  return { ...closed(properties), default: {} } as const;
}

function whole(minimum: number, maximum: number, standard: number) {
  return { type: 'integer', minimum, maximum, default: standard } as const;
}

/** "host" or "host:port", as in a reference. */
const registryName = { type: 'string', pattern: '^[A-Za-z0-9.:\\[\\]-]+$' } as const;
const texts = {
  type: 'array',
  maxItems: 1000,
  items: { type: 'string', minLength: 1, maxLength: 1000 },
} as const;

/** The most that can be set. stowage-unpack takes no greater depth, options.cc. */
export const budgetLimits = { maxSeconds: 604_800, maxDepth: 900 } as const;

/** stowage.toml as written. Defaults stand here and nowhere else. */
export const configSchema = closed({
  mode: { type: 'string', enum: ['service', 'single-user'], default: 'service' },
  listen: section({
    socket: { ...absolutePath, default: '/run/stowaged/api.sock' },
    blob_socket: { ...absolutePath, default: '/run/stowaged/blobs.sock' },
  }),
  metrics: section({
    // "" for nowhere, a socket's path, or a port of the loopback interface.
    listen: {
      type: 'string',
      maxLength: 4095,
      pattern: '^(/.*|(127\\.0\\.0\\.1|\\[::1\\]|localhost):[0-9]{1,5})?$',
      default: '',
    },
  }),
  store: section({
    directory: { ...absolutePath, default: '/var/lib/stowage' },
    max_bytes: whole(0, Number.MAX_SAFE_INTEGER, 0),
    max_blobs: whole(0, Number.MAX_SAFE_INTEGER, 0),
    max_age_days: whole(0, 36_500, 0),
    min_free_bytes: whole(0, Number.MAX_SAFE_INTEGER, 1024 ** 3),
    shared: { type: 'string', pattern: '^(/|$)', maxLength: 4095, default: '' },
  }),
  resolve: section({
    ttl_seconds: whole(0, 86_400, 300),
    pull: { type: 'string', enum: ['missing', 'always', 'never'], default: 'missing' },
    max_age_days: whole(0, 36_500, 30),
  }),
  download: section({
    parallel_layers: whole(1, 16, 4),
    connect_timeout_seconds: whole(1, 300, 10),
    minimum_bytes_per_second: whole(1, 1_000_000_000, 1024),
    rate_window_seconds: whole(1, 600, 30),
    retries: whole(0, 20, 5),
    longest_pause_seconds: whole(1, 600, 60),
    connections: whole(1, 256, 8),
    connections_per_user: whole(1, 256, 6),
    range_bytes: whole(64 * 1024, 64 * 1024 ** 2, 4 * 1024 ** 2),
    deadline_seconds: whole(1, 604_800, 7200),
  }),
  limits: section({
    requests: whole(1, 10_000, 256),
    requests_per_user: whole(1, 10_000, 32),
  }),
  budget: section({
    max_bytes: whole(1, Number.MAX_SAFE_INTEGER, 64 * 1024 ** 3),
    max_inodes: whole(1, Number.MAX_SAFE_INTEGER, 4_000_000),
    max_seconds: whole(1, budgetLimits.maxSeconds, 3600),
    max_depth: whole(1, budgetLimits.maxDepth, 256),
  }),
  image: section({
    squashfs: { type: 'string', enum: ['unpack', 'mount'], default: 'unpack' },
  }),
  container: section({
    home: { type: 'boolean', default: true },
    writable: { type: 'boolean', default: true },
  }),
  short_names: section({
    registry: { ...registryName, default: 'docker.io' },
    aliases: { type: 'object', default: {}, additionalProperties: { type: 'string', maxLength: 255 } },
  }),
  policy: section({
    allow: { ...texts, default: [] },
    deny: { ...texts, default: [] },
    deny_options: {
      type: 'array',
      items: {
        type: 'string',
        enum: optionNames,
      },
      default: [],
    },
    message: { type: 'string', maxLength: 500, default: '' },
  }),
  registries: {
    type: 'object',
    default: {},
    // As in a reference: "host" or "host:port", not "https://host".
    propertyNames: registryName,
    additionalProperties: closed({
      http: { type: 'boolean', default: false },
      ca: absolutePath,
      mirrors: { ...texts, default: [] },
      max_bytes_per_second: whole(0, Number.MAX_SAFE_INTEGER, 0),
      blocked: { type: 'boolean', default: false },
      token_realms: { ...texts, default: [] },
    }),
  },
  cdi: section({
    directories: {
      type: 'array',
      maxItems: 64,
      items: absolutePath,
      default: ['/etc/cdi', '/var/run/cdi'],
    },
    default: { ...texts, default: [] },
    gpu_kinds: { ...texts, default: ['nvidia.com/gpu', 'amd.com/gpu'] },
  }),
  mounts: {
    type: 'array',
    default: [],
    maxItems: 256,
    items: {
      type: 'object',
      additionalProperties: false,
      required: ['source'],
      properties: {
        source: absolutePath,
        target: absolutePath,
        read_only: { type: 'boolean', default: false },
        optional: { type: 'boolean', default: false },
      },
    },
  },
});

/** What ajv has accepted. */
export interface ConfigFile {
  mode: 'service' | 'single-user';
  listen: { socket: string; blob_socket: string };
  metrics: { listen: string };
  store: {
    directory: string;
    max_bytes: number;
    max_blobs: number;
    max_age_days: number;
    min_free_bytes: number;
    shared: string;
  };
  resolve: { ttl_seconds: number; pull: 'missing' | 'always' | 'never'; max_age_days: number };
  download: {
    parallel_layers: number;
    connect_timeout_seconds: number;
    minimum_bytes_per_second: number;
    rate_window_seconds: number;
    retries: number;
    longest_pause_seconds: number;
    connections: number;
    connections_per_user: number;
    range_bytes: number;
    deadline_seconds: number;
  };
  limits: { requests: number; requests_per_user: number };
  budget: { max_bytes: number; max_inodes: number; max_seconds: number; max_depth: number };
  image: { squashfs: 'unpack' | 'mount' };
  container: { home: boolean; writable: boolean };
  short_names: { registry: string; aliases: Record<string, string> };
  policy: { allow: string[]; deny: string[]; deny_options: string[]; message: string };
  registries: Record<
    string,
    {
      http: boolean;
      ca?: string;
      mirrors: string[];
      max_bytes_per_second: number;
      blocked: boolean;
      token_realms: string[];
    }
  >;
  cdi: { directories: string[]; default: string[]; gpu_kinds: string[] };
  mounts: { source: string; target?: string; read_only: boolean; optional: boolean }[];
}
