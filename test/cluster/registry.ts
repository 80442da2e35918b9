import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import type { Daemons } from './daemons.js';
import type { Layout } from './layout.js';
import { account } from './users.js';

const answers = async (port: number): Promise<boolean> => {
  try {
    return (await fetch(`http://127.0.0.1:${port}/v2/`, { signal: AbortSignal.timeout(1_000) })).ok;
  } catch {
    return false;
  }
};

/** docker-registry on the loopback interface, open to everybody on this host. */
export const startRegistry = async (
  layout: Layout,
  daemons: Daemons,
  port: number,
  signal?: AbortSignal,
): Promise<void> => {
  const { uid, gid } = account('docker-registry');
  const storage = `${layout.data}/registry`;
  const config = `${layout.data}/registry.json`;
  mkdirSync(storage, { recursive: true });
  chownSync(storage, uid, gid);
  const settings = {
    version: 0.1,
    log: { level: 'info' },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}` },
  };
  // JSON is YAML.
  writeFileSync(config, JSON.stringify(settings), { mode: 0o644 });
  const identity = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'];
  daemons.start({ name: 'registry', argv: [...identity, 'docker-registry', 'serve', config] });
  await daemons.ready('registry', () => answers(port), signal);
};
