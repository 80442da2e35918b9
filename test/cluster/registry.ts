import { readFileSync } from 'node:fs';
import { registryCommand } from '../support/docker-registry.js';
import type { Daemons } from './daemons.js';
import type { Layout } from './layout.js';
import { inNetwork } from './networks.js';

/** Whether something listens on that port of the loopback interface that the process sees: proc_net(5). */
const listens = (pid: number, port: number): boolean => {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`;
  return readFileSync(`/proc/${pid}/net/tcp`, 'latin1').includes(local);
};

const nameIn = (node: string | undefined): string => (node === undefined ? 'registry' : `registry-${node}`);

/**
 * docker-registry on the loopback interface, open to everybody on this host. `nodes` are those with a network of their own,
 * of which each sees one at the same address, with the same content.
 */
export const startRegistry = async (
  layout: Layout,
  daemons: Daemons,
  port: number,
  nodes: readonly string[],
  signal?: AbortSignal,
): Promise<void> => {
  const argv = registryCommand(layout.data, { port });
  daemons.start({ name: nameIn(undefined), argv });
  for (const node of nodes)
    daemons.start({ name: nameIn(node), argv: inNetwork(layout, daemons, argv, node) });
  for (const name of [undefined, ...nodes].map(nameIn)) {
    const isReady = () => {
      const pid = daemons.pid(name);
      return pid !== undefined && listens(pid, port);
    };
    await daemons.ready(name, isReady, signal);
  }
};

export const stopRegistry = async (daemons: Daemons, nodes: readonly string[]): Promise<void> => {
  await Promise.all([undefined, ...nodes].map((node) => daemons.stop(nameIn(node))));
};
