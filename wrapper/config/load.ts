import { readFileSync } from 'node:fs';

import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { parse, TomlError } from 'smol-toml';

import { reasonOf, StowageError } from '../error.js';
import { isCleanAbsolute } from '../plan/host-path.js';
import type { Config } from './config.js';
import { nearestName } from './nearest-name.js';
import { type ConfigFile, configSchema } from './schema.js';

/** sun_path of unix(7) holds 108 bytes, the last one a NUL. */
const longestSocketPath = 107;

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
  let file: unknown;
  try {
    file = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    return refuse(`line ${error.line}: ${error.message.split('\n')[0]}`);
  }
  const isConfigFile = configValidator();
  if (!isConfigFile(file)) return refuse(explain(isConfigFile.errors?.[0]));
  checkPaths(file, refuse);
  return fromFile(file);
}

function explain(error: ErrorObject | undefined): string {
  if (!error) return 'is not valid';
  const key = error.instancePath.slice(1).replaceAll('/', '.').replaceAll('~1', '/');
  if (error.keyword === 'additionalProperties') {
    const name = String(error.params.additionalProperty);
    const known = Object.keys((error.parentSchema as { properties?: object }).properties ?? {});
    const nearest = nearestName(name, known);
    const place = key === '' ? '' : ` in [${key}]`;
    return `unknown key "${name}"${place}${nearest ? `; did you mean "${nearest}"?` : `; known are ${known.join(', ')}`}`;
  }
  if (error.keyword === 'enum')
    return `${key} must be one of ${(error.params.allowedValues as string[]).join(', ')}`;
  if (error.propertyName !== undefined)
    return `"${error.propertyName}" in [${key}] must be a registry's host or host:port, as in the name of an image`;
  if (error.keyword === 'pattern') return `${key} must be an absolute path`;
  return `${key} ${error.message ?? 'is not valid'}`;
}

function checkPaths(file: ConfigFile, refuse: (problem: string) => never): void {
  const { listen, store, mounts } = file;
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
    ...mounts.flatMap(({ source, target }, i): [string, string][] => [
      [`mounts.${i}.source`, source],
      [`mounts.${i}.target`, target ?? source],
    ]),
  ];
  for (const [key, path] of named) {
    if (!isCleanAbsolute(path))
      refuse(`${key} must be an absolute path without "..", "//" or "/" at the end`);
  }
  if (listen.socket === listen.blob_socket) refuse('listen.socket and listen.blob_socket must differ');
  mounts.forEach(({ source, target }, i) => {
    if (/^\/(?:proc|sys|dev)?(?:\/|$)/.test(target ?? source)) {
      refuse(`mounts.${i}.target cannot be "/", or below /proc, /sys or /dev`);
    }
  });
}

function fromFile(file: ConfigFile): Config {
  const { listen, resolve, download, budget } = file;
  return {
    mode: file.mode,
    listen: { socket: listen.socket, blobSocket: listen.blob_socket },
    store: { ...file.store },
    resolve: { ttlMs: resolve.ttl_seconds * 1000 },
    download: {
      parallelLayers: download.parallel_layers,
      connectTimeoutMs: download.connect_timeout_seconds * 1000,
      minimumBytesPerSecond: download.minimum_bytes_per_second,
      rateWindowMs: download.rate_window_seconds * 1000,
      retries: download.retries,
      firstPauseMs: 500,
      longestPauseMs: download.longest_pause_seconds * 1000,
    },
    budget: {
      maxBytes: budget.max_bytes,
      maxInodes: budget.max_inodes,
      maxSeconds: budget.max_seconds,
      maxDepth: budget.max_depth,
    },
    image: { ...file.image },
    registries: Object.fromEntries(
      Object.entries(file.registries).map(([name, value]) => [name.toLowerCase(), { ...value }]),
    ),
    mounts: file.mounts.map(({ source, target, read_only: readOnly, optional }) => ({
      source,
      target: target ?? source,
      readOnly,
      optional,
    })),
  };
}
