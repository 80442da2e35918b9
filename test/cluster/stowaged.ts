import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import type { Daemons } from './daemons.js';
import { nodePaths, type Layout } from './layout.js';
import { onNode } from './node-namespace.js';
import { account, serviceUser } from './users.js';

export const daemonName = (node: string): string => `stowaged-${node}`;

const accepts = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    if (!existsSync(socket)) return resolve(false);
    const connection = connect(socket);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', () => resolve(false));
  });

/** stowaged of that node, as its service user, without any capability and any way to gain one. */
export const startDaemon = async (layout: Layout, daemons: Daemons, node: string): Promise<void> => {
  const { uid, gid } = account(serviceUser);
  const identity = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  const powerless = ['--bounding-set=-all', '--inh-caps=-all', '--no-new-privs'];
  const program = [`${layout.prefix}/bin/stowaged`, '--config', layout.stowageToml];
  const name = daemonName(node);
  daemons.start({
    name,
    argv: onNode(layout, daemons, node, ['setpriv', ...identity, ...powerless, '--', ...program]),
  });
  await daemons.ready(name, () => accepts(nodePaths(`${layout.nodes}/${node}`).apiSocket));
};
