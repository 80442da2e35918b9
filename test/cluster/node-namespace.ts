import type { Layout } from './layout.js';

const script = [
  'mount --rbind "$1" "$2"',
  'mount --bind "$1/tmp" /tmp',
  'mount --bind "$1/hosts" /etc/hosts',
  '{ ! [ -e /dev/fuse ] || mount --bind "$1/fuse" /dev/fuse; }',
  'hostname "$3"',
  'shift 3',
  'exec "$@"',
].join(' && ');

/**
 * The command, to be run in namespaces where `layout.node` is the directory of that node. All nodes of the
 * cluster share one host and one plugstack.conf; this gives each of them its own trees, store and sockets
 * at the same paths, as separate machines have. With one host name and one /tmp for all, Slurm's PMIx
 * server would trip over its neighbour's files and MPI libraries would try shared memory across nodes.
 */
export const onNode = (layout: Layout, node: string, argv: readonly string[]): string[] => [
  ...['unshare', '--mount', '--propagation', 'private', '--uts', '--ipc', '--'],
  ...['sh', '-c', script, 'sh', `${layout.nodes}/${node}`, layout.node, node],
  ...argv,
];
