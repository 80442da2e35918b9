import type { Config } from './config.js';

/** What cannot change while the daemon runs, as stowage.toml calls it. */
const restartKeys: [string, (config: Config) => unknown][] = [
  ['mode', ({ mode }) => mode],
  ['listen.socket', ({ listen }) => listen.socket],
  ['listen.blob_socket', ({ listen }) => listen.blobSocket],
  ['metrics.listen', ({ metrics }) => metrics],
  ['store.directory', ({ store }) => store.directory],
  ['store.shared', ({ store }) => store.shared],
];

/**
 * The configuration to go on with when `next` was read while `current` is in use, and the keys of `next` that
 * take effect only after a restart.
 */
export function reloaded(current: Config, next: Config): { config: Config; waiting: string[] } {
  const { mode, listen, metrics, store } = current;
  const waiting = restartKeys
    .filter(([, of]) => JSON.stringify(of(current)) !== JSON.stringify(of(next)))
    .map(([key]) => key);
  const { directory, shared } = store;
  return { config: { ...next, mode, listen, metrics, store: { ...next.store, directory, shared } }, waiting };
}
