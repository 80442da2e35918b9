import { registryCommand } from '../support/docker-registry.js';
import type { Daemons } from './daemons.js';
import type { Layout } from './layout.js';

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
  daemons.start({ name: 'registry', argv: registryCommand(layout.data, { port }) });
  await daemons.ready('registry', () => answers(port), signal);
};
