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

/** The most that can be set. stowage-unpack takes no greater depth, options.cc. */
export const budgetLimits = { maxSeconds: 604_800, maxDepth: 900 } as const;

/** stowage.toml as written. Defaults stand here and nowhere else. */
export const configSchema = closed({
  mode: { type: 'string', enum: ['service', 'single-user'], default: 'service' },
  listen: section({
    socket: { ...absolutePath, default: '/run/stowaged/api.sock' },
    blob_socket: { ...absolutePath, default: '/run/stowaged/blobs.sock' },
  }),
  store: section({
    directory: { ...absolutePath, default: '/var/lib/stowage' },
  }),
  resolve: section({
    ttl_seconds: whole(0, 86_400, 300),
  }),
  download: section({
    parallel_layers: whole(1, 16, 4),
    connect_timeout_seconds: whole(1, 300, 10),
    minimum_bytes_per_second: whole(1, 1_000_000_000, 1024),
    rate_window_seconds: whole(1, 600, 30),
    retries: whole(0, 20, 5),
    longest_pause_seconds: whole(1, 600, 60),
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
  registries: {
    type: 'object',
    default: {},
    // As in a reference: "host" or "host:port", not "https://host".
    propertyNames: { type: 'string', pattern: '^[A-Za-z0-9.:\\[\\]-]+$' },
    additionalProperties: {
      type: 'object',
      additionalProperties: false,
      properties: { http: { type: 'boolean' } },
    },
  },
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
  store: { directory: string };
  resolve: { ttl_seconds: number };
  download: {
    parallel_layers: number;
    connect_timeout_seconds: number;
    minimum_bytes_per_second: number;
    rate_window_seconds: number;
    retries: number;
    longest_pause_seconds: number;
  };
  budget: { max_bytes: number; max_inodes: number; max_seconds: number; max_depth: number };
  image: { squashfs: 'unpack' | 'mount' };
  registries: Record<string, { http?: boolean }>;
  mounts: { source: string; target?: string; read_only: boolean; optional: boolean }[];
}
