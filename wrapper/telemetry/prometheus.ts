import { statfs } from 'node:fs/promises';

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

import { release } from '../package-root.js';
import type { EndedRequest, Metrics } from './metrics.js';

/** What is looked up when somebody asks for the metrics. */
export interface Gauged {
  requests(): { running: number; waiting: number };
  store(): { bytes: number; blobs: number; evictedBlobs: number } | undefined;
  exchanges(): readonly { method: string; status: string; count: number }[];
  /** The mount point of the trees, run-stowage-trees.mount. */
  trees: string;
}

/** From a warm answer to an image of many gigabytes. */
const secondsOfPhases = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800];
const phases = new Set(['resolve', 'read', 'download', 'total']);

/**
 * Metrics in Prometheus' text format, of its own registry. docs/metrics.md explains each. Labels have few
 * values, whatever callers send.
 */
export class PrometheusMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<'code'>;
  readonly #phases: Histogram<'phase'>;
  readonly #pulls: Counter<'result'>;
  readonly #downloaded: Counter;
  readonly #unpackSeconds: Histogram;
  readonly #refusedConnections: Counter;

  constructor(gauged: Gauged) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#requests = new Counter({
      name: 'stowage_requests_total',
      help: 'Prepare calls that ended, by code of docs/errors.md, ok or cancelled.',
      labelNames: ['code'],
      registers,
    });
    this.#phases = new Histogram({
      name: 'stowage_request_seconds',
      help: 'Time that Prepare calls spent in each phase.',
      labelNames: ['phase'],
      buckets: secondsOfPhases,
      registers,
    });
    this.#pulls = new Counter({
      name: 'stowage_pulls_total',
      help: 'Images made usable: downloaded, cached on the node, or already unpacked by their user.',
      labelNames: ['result'],
      registers,
    });
    this.#downloaded = new Counter({
      name: 'stowage_downloaded_bytes_total',
      help: 'Bytes of layers that registries sent for images that were made usable.',
      registers,
    });
    this.#unpackSeconds = new Histogram({
      name: 'stowage_unpack_seconds',
      help: "How long unpacking took, as the users' helpers report it.",
      buckets: secondsOfPhases,
      registers,
    });
    this.#refusedConnections = new Counter({
      name: 'stowage_refused_connections_total',
      help: 'Connections to the API socket that were one too many.',
      registers,
    });
    this.#gauge(gauged);
    this.#countElsewhere(gauged);
    for (const result of ['downloaded', 'cached', 'unpacked']) this.#pulls.inc({ result }, 0);
    this.#requests.inc({ code: 'ok' }, 0);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  requestEnded({ code, phasesMs, downloadedBytes, layers }: EndedRequest): void {
    this.#requests.inc({ code });
    if (layers) this.#pulls.inc({ result: layers });
    this.#downloaded.inc(downloadedBytes);
    for (const [phase, ms] of Object.entries(phasesMs)) {
      if (phases.has(phase)) this.#phases.observe({ phase }, ms / 1000);
    }
  }

  unpacked(seconds: number): void {
    this.#unpackSeconds.observe(seconds);
  }

  connectionRefused(): void {
    this.#refusedConnections.inc();
  }

  /** What is counted where it happens, and read when somebody asks for the metrics. */
  #countElsewhere(gauged: Gauged): void {
    const registers = [this.#registry];
    new Counter({
      name: 'stowage_evicted_blobs_total',
      help: 'Blobs removed from the node because of limits or age.',
      registers,
      collect() {
        this.reset();
        this.inc(gauged.store()?.evictedBlobs ?? 0);
      },
    });
    new Counter({
      name: 'stowage_registry_requests_total',
      help: 'HTTP requests to registries and their token services, by method and class of the answer.',
      labelNames: ['method', 'status'],
      registers,
      collect() {
        this.reset();
        for (const { method, status, count } of gauged.exchanges()) this.inc({ method, status }, count);
      },
    });
  }

  #gauge(gauged: Gauged): void {
    const { trees } = gauged;
    const registers = [this.#registry];
    new Gauge({ name: 'stowage_build_info', help: 'Always 1.', labelNames: ['release'], registers }).set(
      { release },
      1,
    );
    const gauge = (name: string, help: string, collect: () => Promise<number | undefined>): void => {
      new Gauge({
        name,
        help,
        registers,
        async collect() {
          const value = await collect().catch(() => undefined);
          // What cannot be known is left out rather than shown as nothing.
          if (value === undefined) this.remove();
          else this.set(value);
        },
      });
    };
    gauge(
      'stowage_requests_running',
      'Prepare calls being worked on.',
      async () => gauged.requests().running,
    );
    gauge('stowage_requests_waiting', 'Prepare calls that wait.', async () => gauged.requests().waiting);
    gauge('stowage_store_bytes', 'Bytes of the blobs on this node.', async () => gauged.store()?.bytes);
    gauge('stowage_store_blobs', 'Blobs on this node.', async () => gauged.store()?.blobs);
    gauge('stowage_trees_bytes', 'Bytes that unpacked images use.', async () => {
      const { blocks, bfree, bsize } = await statfs(trees);
      return (blocks - bfree) * bsize;
    });
    gauge('stowage_trees_size_bytes', 'Bytes that unpacked images may use.', async () => {
      const { blocks, bsize } = await statfs(trees);
      return blocks * bsize;
    });
    gauge('stowage_trees_inodes', 'Files and directories of unpacked images.', async () => {
      const { files, ffree } = await statfs(trees);
      return files - ffree;
    });
    gauge(
      'stowage_trees_size_inodes',
      'Files and directories that there may be.',
      async () => (await statfs(trees)).files,
    );
  }
}
