import type { Daemons } from './daemons.js';
import type { Layout } from './layout.js';
import { inNetwork, networkFile } from './networks.js';

const mounts = [
  'mount --rbind "$1" "$2"',
  'mount --bind "$1/tmp" /tmp',
  'mount --bind "$1/hosts" /etc/hosts',
  '{ ! [ -e /dev/fuse ] || mount --bind "$1/fuse" /dev/fuse; }',
];

// A sysfs shows the network of whoever mounted it.
const ownSysfs = [
  'mount --rbind /sys/fs/cgroup "$1/cgroup"',
  'mount -t sysfs sysfs /sys',
  'mount --move "$1/cgroup" /sys/fs/cgroup',
];

const start = ['hostname "$3"', 'shift 3', 'exec "$@"'];

/**
 * The command, to be run in namespaces where `layout.node` is the directory of that node. All nodes of the
 * cluster share one host and one plugstack.conf; this gives each of them its own trees, store and sockets
 * at the same paths, as separate machines have. With one host name and one /tmp for all, Slurm's PMIx
 * server would trip over its neighbour's files and MPI libraries would try shared memory across nodes.
 */
export const onNode = (layout: Layout, daemons: Daemons, node: string, argv: readonly string[]): string[] => {
  const sysfs = networkFile(layout, daemons, node) === undefined ? [] : ownSysfs;
  const script = [...mounts, ...sysfs, ...start].join(' && ');
  const command = [
    ...['unshare', '--mount', '--propagation', 'private', '--uts', '--ipc', '--'],
    ...['sh', '-c', script, 'sh', `${layout.nodes}/${node}`, layout.node, node],
    ...argv,
  ];
  return inNetwork(layout, daemons, command, node);
};
