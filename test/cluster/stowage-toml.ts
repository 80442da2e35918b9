import { existsSync, readFileSync } from 'node:fs';
import { parse, stringify, type TomlTable } from 'smol-toml';
import { nodePaths, type Layout } from './layout.js';

const example = 'slurm-conf-examples/stowage.toml';

/** The shipped example with this cluster's paths and registry; `extra` adds to its tables or replaces keys. */
export const stowageToml = (layout: Layout, registryHost: string, extra: TomlTable = {}): string => {
  const node = nodePaths(layout.node);
  const local: TomlTable = {
    listen: { socket: node.apiSocket, blob_socket: node.blobSocket },
    store: { directory: node.store },
    registries: { [registryHost]: { http: true } },
  };
  const config = existsSync(example) ? parse(readFileSync(example, 'utf8')) : {};
  for (const changes of [local, extra]) {
    for (const [key, value] of Object.entries(changes)) {
      config[key] = isTable(value) && isTable(config[key]) ? { ...config[key], ...value } : value;
    }
  }
  return stringify(config);
};

const isTable = (value: unknown): value is TomlTable =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
