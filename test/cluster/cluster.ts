import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { TomlTable } from 'smol-toml';
import { Daemons } from './daemons.js';
import { ClusterError } from './error.js';
import { makeGpus } from './gpus.js';
import { install } from './install.js';
import { defaultStateDirectory, layoutOf, nodePaths, type Layout } from './layout.js';
import { leftovers, type Leftovers } from './leftovers.js';
import { unmountAll } from './mounts.js';
import { startMunge } from './munge.js';
import { hostsFile, makeNodeDirectories } from './node-directories.js';
import { plugstackConf, type PluginOptions } from './plugstack.js';
import { headAddress, networkFile, nodeAddress, nodeInterface, startNetworks } from './networks.js';
import { freePorts } from './ports.js';
import { startRegistry, stopRegistry } from './registry.js';
import { runAs, type RunOptions, type RunResult } from './run.js';
import { loopback, nodeNames, slurmConf, type SlurmAddresses } from './slurm-conf.js';
import { nodeStates, slurmdName, startSlurmctld, startSlurmd, waitUntilIdle } from './slurm.js';
import { stowageToml } from './stowage-toml.js';
import { daemonName, startDaemon } from './stowaged.js';
import { sweep } from './sweep.js';
import { makeMissingUsers } from './users.js';

export interface ClusterOptions {
  /** Default: STOWAGE_CLUSTER, else .cluster in the working directory. */
  readonly stateDirectory?: string;
  /** Default 1. */
  readonly nodes?: number;
  readonly plugin?: PluginOptions;
  /** Lines of slurm.conf in place of, or beside, the harness's own. */
  readonly slurmConf?: Readonly<Record<string, string>>;
  /** Names and content of files beside slurm.conf, such as cgroup.conf. */
  readonly slurmFiles?: (layout: Layout) => Readonly<Record<string, string>>;
  /** Changes to stowage.toml: { resolve: { ttl_seconds: 0 } }. */
  readonly stowageToml?: TomlTable;
  /** Of each node, without anything behind them; default 0. */
  readonly gpus?: number;
  /** All that runs on the nodes shares one processor: namespaces are numbered in the order they are made. */
  readonly oneProcessor?: boolean;
  /**
   * Each node has a network of its own, as machines have, and they reach each other and what runs beside them, but nothing
   * outside. Commands run in such a network, too. Default: all share the host's.
   */
  readonly ownNetworks?: boolean;
  readonly signal?: AbortSignal;
}

/** What is written down so that another process can use the cluster. */
interface ClusterRecord {
  readonly nodes: number;
  readonly registryPort: number;
  readonly oneProcessor: boolean;
  readonly ownNetworks: boolean;
}

export class Cluster {
  readonly layout: Layout;
  readonly nodes: readonly string[];
  /** As image references begin, on the host and on nodes: "localhost:23456". */
  readonly registryHost: string;
  readonly #daemons: Daemons;
  readonly #record: ClusterRecord;

  constructor(layout: Layout, record: ClusterRecord) {
    this.layout = layout;
    this.nodes = nodeNames(record.nodes);
    this.registryHost = `localhost:${record.registryPort}`;
    this.#daemons = new Daemons(layout);
    this.#record = record;
  }

  /** Resolves whatever the exit code; see RunOptions for the defaults. */
  run(user: string, command: string | readonly string[], options?: RunOptions): Promise<RunResult> {
    const network = networkFile(this.layout, this.#daemons);
    return runAs(user, command, { ...options, network, env: { ...this.environment(), ...options?.env } });
  }

  /** What a user of the cluster has set. */
  environment(): Record<string, string> {
    return {
      SLURM_CONF: this.layout.slurmConf,
      REGISTRY: this.registryHost,
      // Open MPI leaves the loopback interface out, and it is the one that nodes share where they use the host's network.
      OMPI_MCA_btl_tcp_if_include: this.#record.ownNetworks ? nodeInterface : 'lo',
    };
  }

  nodeStates(): Promise<Map<string, string>> {
    return nodeStates(this.layout, this.#daemons);
  }

  leftovers(): Leftovers {
    return leftovers(this.layout, this.#daemons, this.nodes);
  }

  /** Resolves when every node could take a job; rejects when one is drained, down or still busy by then. */
  waitUntilIdle(timeoutMs = 15_000, signal?: AbortSignal): Promise<void> {
    return waitUntilIdle(this.layout, this.#daemons, this.nodes, timeoutMs, signal);
  }

  /** stowaged on all nodes, or on those named. */
  readonly daemon = {
    stop: (nodes = this.nodes) => this.#each(nodes, (node) => this.#daemons.stop(daemonName(node))),
    kill: (nodes = this.nodes) =>
      this.#each(nodes, (node) => this.#daemons.stop(daemonName(node), 'SIGKILL')),
    start: (nodes = this.nodes) => this.#each(nodes, (node) => startDaemon(this.layout, this.#daemons, node)),
    pid: (node: string) => this.#daemons.pid(daemonName(node)),
    log: (node: string) => readFileSync(this.#daemons.logFile(daemonName(node)), 'utf8'),
  };

  /** Makes every node forget all blobs. stowaged must not be running. */
  emptyStores(): void {
    for (const node of this.nodes) {
      const { store } = nodePaths(`${this.layout.nodes}/${node}`);
      for (const name of readdirSync(store)) rmSync(`${store}/${name}`, { recursive: true });
    }
  }

  readonly registry = {
    stop: () => stopRegistry(this.#daemons, this.#nodesApart()),
    start: (signal?: AbortSignal) =>
      startRegistry(this.layout, this.#daemons, this.#record.registryPort, this.#nodesApart(), signal),
  };

  /** Steps that run live on. */
  async restartSlurmd(nodes = this.nodes): Promise<void> {
    await this.#each(nodes, async (node) => {
      await this.#daemons.stop(slurmdName(node));
      startSlurmd(this.layout, this.#daemons, node, this.#record);
    });
  }

  /** Every daemon of the cluster with its pid, or undefined where it is not running. */
  daemons(): Map<string, number | undefined> {
    return new Map(this.#daemons.names().map((name) => [name, this.#daemons.pid(name)]));
  }

  /** Leaves no process, mount or file. */
  stop(): Promise<void> {
    return stopCluster(this.layout.state);
  }

  /** The nodes with a network of their own. */
  #nodesApart(): readonly string[] {
    return this.#record.ownNetworks ? this.nodes : [];
  }

  async #each(nodes: readonly string[], action: (node: string) => Promise<void>): Promise<void> {
    await Promise.all(nodes.map(action));
  }
}

const recordFile = (layout: Layout): string => `${layout.data}/cluster.json`;

/** The cluster that was started there, whether or not all of it still runs; undefined if there is none. */
export const openCluster = (stateDirectory = defaultStateDirectory()): Cluster | undefined => {
  const layout = layoutOf(stateDirectory);
  if (!existsSync(recordFile(layout))) return undefined;
  return new Cluster(layout, JSON.parse(readFileSync(recordFile(layout), 'utf8')) as ClusterRecord);
};

const writeEnvironment = (layout: Layout, cluster: Cluster): void => {
  const lines = Object.entries(cluster.environment()).map(([name, value]) => `export ${name}=${value}`);
  writeFileSync(layout.env, `${lines.join('\n')}\n`, { mode: 0o644 });
  mkdirSync(layout.state, { recursive: true });
  for (const [name, target] of [
    ['env', layout.env],
    ['data', layout.data],
  ] as const) {
    rmSync(`${layout.state}/${name}`, { force: true });
    symlinkSync(target, `${layout.state}/${name}`);
  }
};

/** Starts a cluster in place of any that was left there, running or half dead. */
export const startCluster = async (options: ClusterOptions = {}): Promise<Cluster> => {
  const { stateDirectory = defaultStateDirectory(), nodes = 1, signal } = options;
  const { oneProcessor = false, ownNetworks = false } = options;
  if (process.getuid?.() !== 0)
    throw new ClusterError('a cluster needs daemons of several users: run this as root');
  process.umask(0o022);
  await stopCluster(stateDirectory);
  makeMissingUsers();
  const layout = layoutOf(stateDirectory);
  for (const directory of [layout.data, layout.logs, layout.node, layout.nodes, layout.networks]) {
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, 0o755);
  }

  const [registryPort = 0, slurmctldPort = 0, ...slurmdPorts] = await freePorts(nodes + 2);
  const record: ClusterRecord = { nodes, registryPort, oneProcessor, ownNetworks };
  writeFileSync(recordFile(layout), JSON.stringify(record));
  const cluster = new Cluster(layout, record);
  const daemons = new Daemons(layout);
  const hosts = cluster.nodes.map((name, index) => ({
    name,
    address: ownNetworks ? nodeAddress(index) : loopback,
  }));
  const addresses: SlurmAddresses = {
    slurmctld: { address: ownNetworks ? headAddress : loopback, port: slurmctldPort },
    slurmd: hosts.map(({ address }, index) => ({ address, port: slurmdPorts[index] ?? 0 })),
  };
  try {
    for (const host of hosts) makeNodeDirectories(layout, host, hosts);
    writeFileSync(layout.hosts, hostsFile(hosts));
    makeGpus(layout, cluster.nodes, options.gpus ?? 0);
    install(layout.prefix);
    writeFileSync(layout.slurmConf, await slurmConf(layout, addresses, options));
    for (const [name, content] of Object.entries(options.slurmFiles?.(layout) ?? {}))
      writeFileSync(`${layout.data}/${name}`, content);
    writeFileSync(layout.plugstackConf, plugstackConf(layout, options.plugin));
    writeFileSync(layout.stowageToml, stowageToml(layout, cluster.registryHost, options.stowageToml));
    writeEnvironment(layout, cluster);

    if (ownNetworks) await startNetworks(layout, daemons, cluster.nodes, signal);
    await startMunge(layout, daemons, signal);
    startSlurmctld(layout, daemons);
    for (const node of cluster.nodes) startSlurmd(layout, daemons, node, record);
    await Promise.all([cluster.registry.start(signal), cluster.daemon.start()]);
    await cluster.waitUntilIdle(30_000, signal);
    return cluster;
  } catch (error) {
    await stopCluster(stateDirectory);
    throw error;
  }
};

/** Leaves no process, mount or file of the cluster there, however little of it is left. */
export const stopCluster = async (stateDirectory = defaultStateDirectory()): Promise<void> => {
  const layout = layoutOf(stateDirectory);
  const daemons = new Daemons(layout);
  if (existsSync(layout.data)) {
    // Slurm's daemons would wait for jobs and for each other, and what they would save goes anyway.
    const outright = (name: string) => name.startsWith('slurm');
    await Promise.all(
      daemons
        .names()
        .filter((name) => name !== 'munged')
        .map((name) => daemons.stop(name, outright(name) ? 'SIGKILL' : 'SIGTERM')),
    );
    await sweep(layout);
    await daemons.stop('munged');
    unmountAll(layout);
    rmSync(layout.data, { recursive: true, force: true });
  }
  // Other clusters may have their directories inside this one's.
  for (const name of ['env', 'data']) rmSync(`${layout.state}/${name}`, { force: true });
  if (existsSync(layout.state) && readdirSync(layout.state).length === 0) rmdirSync(layout.state);
};
