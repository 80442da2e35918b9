import { readFileSync } from 'node:fs';

import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';

import { reasonOf, StowageError } from '../error.js';
import { spellRegistry } from '../image/reference.js';
import { isCleanAbsolute } from '../plan/host-path.js';
import { checkNames } from './check-names.js';
import type { Config, MetricsAddress, PolicyConfig, RegistrySettings } from './config.js';
import { type ConfigFile, configSchema } from './schema.js';
import { fillInSingleUser } from './single-user.js';
import { explain, parseToml } from './toml-file.js';

/** sun_path of unix(7) holds 108 bytes, the last one a NUL. */
const longestSocketPath = 107;
const dayMs = 24 * 60 * 60 * 1000;

let validator: ValidateFunction<ConfigFile> | undefined;

/** Compiled when it is needed: for that alone a command would take longer than for what it is asked to say. */
function configValidator(): ValidateFunction<ConfigFile> {
  return (validator ??= new Ajv({ useDefaults: true, verbose: true }).compile<ConfigFile>(configSchema));
}

/** Reads and checks a configuration file. Throws `config-invalid`, naming file and key. */
export function loadConfig(path: string): Config {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new StowageError('config-invalid', `configuration ${path} cannot be read (${reasonOf(error)})`, {
      cause: error,
    });
  }
  return parseConfigFile(text, path);
}

/** The same for text that is in memory; `path` is for messages. */
export function parseConfigFile(text: string, path: string): Config {
  const refuse = (problem: string): never => {
    throw new StowageError('config-invalid', `configuration ${path}: ${problem}`);
  };
  const file = parseToml(text, refuse);
  fillInSingleUser(file);
  const isConfigFile = configValidator();
  if (!isConfigFile(file)) return refuse(explain(isConfigFile.errors?.[0], explainOwn));
  checkPaths(file, refuse);
  checkNames(file, refuse);
  return fromFile(file);
}

/** What only the keys of this file are about. */
function explainOwn(error: ErrorObject, key: string): string | undefined {
  if (error.keyword === 'additionalProperties') {
    const name = String(error.params.additionalProperty);
    return isUnquotedRegistry(error.instancePath, (error.data as Record<string, unknown>)[name])
      ? `the name of a registry belongs in quotes, as in [registries."registry.example.org"], not [${key}.${name}]`
      : undefined;
  }
  if (error.propertyName !== undefined)
    return `"${error.propertyName}" in [${key}] must be a registry's host or host:port, as in the name of an image`;
  if (error.keyword !== 'pattern') return undefined;
  if (key === 'metrics.listen')
    return 'metrics.listen must be a path, or a port of this node alone, as in "127.0.0.1:9477"';
  if (key === 'short_names.registry') return `${key} must be a registry's host or host:port`;
  return `${key} must be an absolute path`;
}

/** TOML takes [registries.docker.io] for a section "io" in "docker". */
function isUnquotedRegistry(instancePath: string, value: unknown): boolean {
  return instancePath.startsWith('/registries/') && typeof value === 'object' && !Array.isArray(value);
}

function checkPaths(file: ConfigFile, refuse: (problem: string) => never): void {
  const { listen, metrics, store, mounts, cdi } = file;
  for (const [key, path] of Object.entries(listen)) {
    if (Buffer.byteLength(path) > longestSocketPath) {
      refuse(
        `listen.${key} has ${Buffer.byteLength(path)} bytes, and a unix socket's path may have ${longestSocketPath}`,
      );
    }
  }
  const named: [string, string][] = [
    ['listen.socket', listen.socket],
    ['listen.blob_socket', listen.blob_socket],
    ['store.directory', store.directory],
    ...(store.shared === '' ? [] : [['store.shared', store.shared] satisfies [string, string]]),
    ...(metrics.listen.startsWith('/')
      ? [['metrics.listen', metrics.listen] satisfies [string, string]]
      : []),
    ...cdi.directories.map((path, i): [string, string] => [`cdi.directories.${i}`, path]),
    ...mounts.flatMap(({ source, target }, i): [string, string][] => [
      [`mounts.${i}.source`, source],
      [`mounts.${i}.target`, target ?? source],
    ]),
  ];
  for (const [key, path] of named) {
    if (!isCleanAbsolute(path))
      refuse(`${key} must be an absolute path without "..", "//" or "/" at the end`);
  }
  const port = Number(/:([0-9]+)$/.exec(metrics.listen)?.[1] ?? 1);
  if (!metrics.listen.startsWith('/') && (port < 1 || port > 65_535)) {
    refuse(`metrics.listen must name a port from 1 to 65535, not ${port}`);
  }
  if (listen.socket === listen.blob_socket) refuse('listen.socket and listen.blob_socket must differ');
  mounts.forEach(({ source, target }, i) => {
    if (/^\/(?:proc|sys|dev)?(?:\/|$)/.test(target ?? source)) {
      refuse(`mounts.${i}.target cannot be "/", or below /proc, /sys or /dev`);
    }
  });
}

function fromFile(file: ConfigFile): Config {
  const { listen, store, resolve, download, limits, budget } = file;
  return {
    mode: file.mode,
    listen: { socket: listen.socket, blobSocket: listen.blob_socket },
    metrics: metricsAddress(file.metrics.listen),
    store: {
      directory: store.directory,
      maxBytes: store.max_bytes,
      maxBlobs: store.max_blobs,
      maxAgeMs: store.max_age_days * dayMs,
      minFreeBytes: store.min_free_bytes,
      shared: store.shared === '' ? undefined : store.shared,
    },
    resolve: {
      ttlMs: resolve.ttl_seconds * 1000,
      pull: resolve.pull,
      maxAgeMs: resolve.max_age_days * dayMs,
    },
    download: {
      parallelLayers: download.parallel_layers,
      connectTimeoutMs: download.connect_timeout_seconds * 1000,
      minimumBytesPerSecond: download.minimum_bytes_per_second,
      rateWindowMs: download.rate_window_seconds * 1000,
      retries: download.retries,
      firstPauseMs: 500,
      longestPauseMs: download.longest_pause_seconds * 1000,
      connections: download.connections,
      connectionsPerUser: download.connections_per_user,
      rangeBytes: download.range_bytes,
      deadlineMs: download.deadline_seconds * 1000,
    },
    limits: { requests: limits.requests, requestsPerUser: limits.requests_per_user },
    budget: {
      maxBytes: budget.max_bytes,
      maxInodes: budget.max_inodes,
      maxSeconds: budget.max_seconds,
      maxDepth: budget.max_depth,
    },
    image: { ...file.image },
    container: { ...file.container },
    shortNames: { ...file.short_names, registry: spell(file.short_names.registry) },
    policy: policyOf(file.policy),
    registries: Object.fromEntries(
      Object.entries(file.registries).map(([name, value]) => [spell(name), registrySettings(value)]),
    ),
    devices: {
      directories: file.cdi.directories,
      default: file.cdi.default,
      gpuKinds: file.cdi.gpu_kinds,
    },
    mounts: file.mounts.map(({ source, target, read_only: readOnly, optional }) => ({
      source,
      target: target ?? source,
      readOnly,
      optional,
    })),
  };
}

function policyOf({ deny_options: denyOptions, ...policy }: ConfigFile['policy']): PolicyConfig {
  return { ...policy, denyOptions };
}

/** As references have it. */
function spell(registry: string): string {
  return spellRegistry(registry) ?? registry.toLowerCase();
}

function metricsAddress(text: string): MetricsAddress | undefined {
  if (text === '') return undefined;
  if (text.startsWith('/')) return { socket: text };
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(colon + 1)) };
}

function registrySettings(value: ConfigFile['registries'][string]): RegistrySettings {
  const { http, ca, mirrors, max_bytes_per_second: maxBytesPerSecond, blocked, token_realms } = value;
  return { http, ca, mirrors, maxBytesPerSecond, blocked, tokenRealms: token_realms };
}
