import { lookup } from 'node:dns/promises';
import { hostname } from 'node:os';
import type { Layout } from './layout.js';

/** What all nodes that use the host's network share. */
export const loopback = '127.0.0.1';

/** Where a daemon of Slurm listens. */
export interface SlurmAddress {
  readonly address: string;
  readonly port: number;
}

export interface SlurmAddresses {
  readonly slurmctld: SlurmAddress;
  /** One for each node. */
  readonly slurmd: readonly SlurmAddress[];
}

/** Those of ClusterOptions that slurm.conf tells. */
interface NodeSettings {
  readonly slurmConf?: Readonly<Record<string, string>>;
  readonly gpus?: number;
}

export const nodeNames = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `n${index + 1}`);

/**
 * What keeps Slurm from listening beyond the loopback interface. It then listens where the host's own name leads,
 * and does not start on a machine that cannot look up its name, as some containers and new machines cannot.
 */
const listenOnLoopback = async (): Promise<string> => {
  try {
    const { address } = await lookup(hostname());
    return address.startsWith('127.') || address === '::1' ? 'NoCtldInAddrAny,NoInAddrAny' : '';
  } catch {
    return '';
  }
};

/** slurm.conf(5) for several nodes on one host. `extra` wins over what stands here; each node has that many GPUs. */
export const slurmConf = async (
  layout: Layout,
  { slurmctld, slurmd }: SlurmAddresses,
  { slurmConf: extra = {}, gpus = 0 }: NodeSettings,
): Promise<string> => {
  const host = hostname().split('.')[0] ?? 'localhost';
  const settings: Record<string, string> = {
    ClusterName: `stowage${layout.id}`,
    SlurmctldHost: `${host}(${slurmctld.address})`,
    SlurmctldPort: String(slurmctld.port),
    // Nodes with a network of their own reach srun where it is, and nobody else does.
    CommunicationParameters: slurmctld.address === loopback ? await listenOnLoopback() : '',
    AuthType: 'auth/munge',
    CredType: 'cred/munge',
    AuthInfo: `socket=${layout.mungeSocket}`,
    SlurmUser: 'root',
    StateSaveLocation: `${layout.data}/slurmctld`,
    SlurmctldPidFile: `${layout.data}/slurmctld.pid`,
    SlurmctldLogFile: `${layout.logs}/slurmctld.log`,
    SlurmdSpoolDir: `${layout.data}/spool/%n`,
    SlurmdPidFile: `${layout.data}/slurmd-%n.pid`,
    SlurmdLogFile: `${layout.logs}/slurmd-%n.log`,
    PlugStackConfig: layout.plugstackConf,
    // 64 ranks must fit on a node whatever the host has.
    SlurmdParameters: 'config_overrides',
    SelectType: 'select/cons_tres',
    SelectTypeParameters: 'CR_Core',
    SchedulerParameters: 'batch_sched_delay=0,sched_interval=1',
    ProctrackType: 'proctrack/linuxproc',
    TaskPlugin: 'task/none',
    JobAcctGatherType: 'jobacct_gather/none',
    AccountingStorageType: 'accounting_storage/none',
    JobCompType: 'jobcomp/none',
    MpiDefault: 'none',
    MailProg: '/bin/true',
    ReturnToService: '2',
    // A job waits no longer for its epilog, a kill or a node than a test would.
    EpilogMsgTime: '0',
    KillWait: '5',
    SlurmdTimeout: '30',
    InactiveLimit: '0',
    MinJobAge: '60',
    GresTypes: gpus > 0 ? 'gpu' : '',
    ...extra,
  };
  const lines = Object.entries(settings)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${value}`);
  slurmd.forEach(({ address, port }, index) => {
    const name = nodeNames(slurmd.length)[index] ?? '';
    const size = 'Sockets=1 CoresPerSocket=64 ThreadsPerCore=1 RealMemory=16000';
    const gres = gpus > 0 ? ` Gres=gpu:${gpus}` : '';
    lines.push(
      `NodeName=${name} NodeHostname=${host} NodeAddr=${address} Port=${port} ${size}${gres} State=UNKNOWN`,
    );
  });
  lines.push('PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP');
  return `${lines.join('\n')}\n`;
};
