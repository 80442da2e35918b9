import { createHash } from 'node:crypto';
import { resolve } from 'node:path';

/** Where everything of one cluster lies. */
export interface Layout {
  /** The directory that the user named: holds `env` and a link to `data`. May be private. */
  readonly state: string;
  /** Everything the daemons and the ordinary users need, reachable by all. */
  readonly data: string;
  /** Identifies the cluster among others on this host, for instance in the name of its mounts. */
  readonly id: string;
  readonly env: string;
  readonly logs: string;
  readonly prefix: string;
  readonly slurmConf: string;
  readonly plugstackConf: string;
  readonly stowageToml: string;
  readonly mungeSocket: string;
  /** What slurmctld sees at /etc/hosts. */
  readonly hosts: string;
  /** What a node sees at `node` is in truth its directory below `nodes`: see node-namespace.ts. */
  readonly node: string;
  readonly nodes: string;
  /** Where the networks of nodes are mounted, seen by the process alone that holds them: see networks.ts. */
  readonly networks: string;
}

/** Not below /run or /tmp, which may be mounted noexec, and short, as socket paths end at 107 bytes. */
const dataRoot = '/var/lib/stowage-test';

export const defaultStateDirectory = (): string => resolve(process.env['STOWAGE_CLUSTER'] ?? '.cluster');

export const layoutOf = (stateDirectory: string): Layout => {
  const state = resolve(stateDirectory);
  const id = createHash('sha256').update(state).digest('hex').slice(0, 6);
  const data = `${dataRoot}/${id}`;
  return {
    state,
    data,
    id,
    env: `${data}/env`,
    logs: `${data}/log`,
    prefix: `${data}/prefix`,
    slurmConf: `${data}/slurm.conf`,
    plugstackConf: `${data}/plugstack.conf`,
    stowageToml: `${data}/stowage.toml`,
    mungeSocket: `${data}/munge/socket`,
    hosts: `${data}/hosts`,
    node: `${data}/node`,
    nodes: `${data}/nodes`,
    networks: `${data}/networks`,
  };
};

/** What belongs to one node, as the host sees it; the node sees the same below `layout.node`. */
export const nodePaths = (base: string) => ({
  base,
  hosts: `${base}/hosts`,
  tmp: `${base}/tmp`,
  cgroup: `${base}/cgroup`,
  fuse: `${base}/fuse`,
  gpus: `${base}/gpus`,
  trees: `${base}/trees`,
  store: `${base}/store`,
  run: `${base}/stowaged`,
  apiSocket: `${base}/stowaged/api.sock`,
  blobSocket: `${base}/stowaged/blobs.sock`,
});
