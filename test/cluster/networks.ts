import type { Daemons } from './daemons.js';
import { ClusterError } from './error.js';
import type { Layout } from './layout.js';
import { processFacts } from './proc.js';

/** Addresses that no one outside of these networks sees. */
const network = '10.0.0';
/** Of what runs beside the nodes: slurmctld, and the commands of users. */
export const headAddress = `${network}.254`;
export const nodeAddress = (index: number): string => `${network}.${index + 1}`;
/** What nodes call the interface to each other. */
export const nodeInterface = 'eth0';

const daemonName = 'networks';

const script = `
cd "$1"; head=$2; interface=$3; shift 3
ip link set lo up
ip link add nodes type bridge
ip address add "$head/24" dev nodes
ip link set nodes up
for node; do
    name=\${node%=*}
    : >"$name"
    unshare --net="$name" ip link set lo up
    ip link add "$name" master nodes type veth peer name "$interface" netns "$PWD/$name"
    ip link set "$name" up
    nsenter --net="$name" ip address add "\${node#*=}/24" dev "$interface"
    nsenter --net="$name" ip link set "$interface" up
done
exec sleep infinity`;

/**
 * Gives each node, and all that runs beside the nodes, a network namespace of its own: a bridge joins them, and nothing
 * leads out. One process holds them all in its mount namespace; when it is gone, so are they.
 */
export const startNetworks = async (
  { networks }: Layout,
  daemons: Daemons,
  nodes: readonly string[],
  signal?: AbortSignal,
): Promise<void> => {
  const addresses = nodes.map((node, index) => `${node}=${nodeAddress(index)}`);
  daemons.start({
    name: daemonName,
    argv: [
      ...['unshare', '--mount', '--propagation', 'private', '--net', '--', 'sh', '-euc', script, 'sh'],
      ...[networks, headAddress, nodeInterface, ...addresses],
    ],
  });
  const complete = () => processFacts(daemons.pid(daemonName) ?? 0)?.command === 'sleep';
  await daemons.ready(daemonName, complete, signal);
};

/**
 * The file of the network namespace of that node, or without a node, of what runs beside them; undefined in a cluster
 * that uses the host's.
 */
export const networkFile = (layout: Layout, daemons: Daemons, node?: string): string | undefined => {
  if (!daemons.names().includes(daemonName)) return undefined;
  const pid = daemons.pid(daemonName);
  if (pid === undefined) throw new ClusterError('the networks of the nodes are gone: their process ended');
  return node === undefined ? `/proc/${pid}/ns/net` : `/proc/${pid}/root${layout.networks}/${node}`;
};

/** The command, to be run there. */
export const inNetwork = (
  layout: Layout,
  daemons: Daemons,
  argv: readonly string[],
  node?: string,
): string[] => {
  const file = networkFile(layout, daemons, node);
  return file === undefined ? [...argv] : ['nsenter', `--net=${file}`, '--', ...argv];
};
