import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Where a stowaged of one user has sockets and store unless it is told: in the places that the XDG Base Directory
 * Specification names. `file` is stowage.toml as it was written, and is changed. Without XDG_RUNTIME_DIR, which
 * every login has under systemd, the defaults of a service stay.
 */
export function fillInSingleUser(file: unknown, environment: NodeJS.ProcessEnv = process.env): void {
  if (!isTable(file) || file['mode'] !== 'single-user') return;
  const { XDG_RUNTIME_DIR: runtime, XDG_DATA_HOME: data } = environment;
  if (!runtime?.startsWith('/')) return;
  const own = data?.startsWith('/') ? data : join(homedir(), '.local/share');
  fillIn(file, 'listen', {
    socket: join(runtime, 'stowaged/api.sock'),
    blob_socket: join(runtime, 'stowaged/blobs.sock'),
  });
  fillIn(file, 'store', { directory: join(own, 'stowage') });
}

function fillIn(file: Record<string, unknown>, section: string, defaults: Record<string, string>): void {
  const given = file[section] ?? {};
  // What is no table is for the schema to refuse.
  if (isTable(given)) file[section] = { ...defaults, ...given };
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
