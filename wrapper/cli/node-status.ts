import { type GetStatusResponseMessage, ProgressPhase } from '../rpc/definitions.js';
import { formatFacts } from './facts.js';
import { formatBytes, formatSpan } from './format.js';
import { formatTable } from './table.js';

/** What `status --json` prints; stowage(1) explains the members, which stay as they are. */
export interface NodeStatus {
  socket: string;
  /** "stowaged 0.1.0" */
  software: string;
  protocol: number;
  /** RFC 3339. */
  started: string;
  store: {
    directory: string;
    used_bytes: number;
    used_blobs: number;
    /** null: no limit. */
    max_bytes: number | null;
    max_blobs: number | null;
    free_bytes: number;
    shared_directory: string | null;
    shared_problem: string | null;
  };
  running_requests: number;
  waiting_requests: number;
  requests: RunningRequest[];
}

export interface RunningRequest {
  reference: string;
  uid: number;
  /** null outside of jobs. */
  job_id: number | null;
  prefetch: boolean;
  phase: 'resolving' | 'downloading' | 'waiting';
  /** What is waited for, or empty. */
  detail: string;
  done_bytes: number;
  total_bytes: number;
  running_ms: number;
}

export function readStatus(message: GetStatusResponseMessage, socket: string): NodeStatus {
  const { server, store } = message;
  return {
    socket,
    software: server?.software ?? '',
    protocol: server?.protocol ?? 0,
    started: new Date(Number(message.startedSeconds ?? 0) * 1000).toISOString(),
    store: {
      directory: store?.directory ?? '',
      used_bytes: Number(store?.usedBytes ?? 0),
      used_blobs: Number(store?.usedBlobs ?? 0),
      max_bytes: Number(store?.maxBytes ?? 0) || null,
      max_blobs: Number(store?.maxBlobs ?? 0) || null,
      free_bytes: Number(store?.freeBytes ?? 0),
      shared_directory: store?.sharedDirectory || null,
      shared_problem: store?.sharedProblem || null,
    },
    running_requests: message.runningRequests ?? 0,
    waiting_requests: message.waitingRequests ?? 0,
    requests: (message.requests ?? []).map(({ progress, ...request }) => ({
      reference: request.reference ?? '',
      uid: request.uid ?? 0,
      job_id: request.job?.jobId || null,
      prefetch: request.prefetch ?? false,
      phase: phaseOf(progress?.phase),
      detail: progress?.detail ?? '',
      done_bytes: Number(progress?.imageDoneBytes ?? 0),
      total_bytes: Number(progress?.imageTotalBytes ?? 0),
      running_ms: Number(request.runningMilliseconds ?? 0),
    })),
  };
}

/** The same for people. */
export function describeStatus(report: NodeStatus, nowMs: number): string {
  const { store, running_requests: running, waiting_requests: waiting, requests } = report;
  const upSeconds = (nowMs - Date.parse(report.started)) / 1000;
  const facts = formatFacts([
    ['daemon', `${report.software}, protocol ${report.protocol}, running for ${formatSpan(upSeconds)}`],
    ['socket', report.socket],
    ['store', store.directory],
    ['used', usedOf(store)],
    ['free', formatBytes(store.free_bytes)],
    // The problem names the directory.
    ['shared', store.shared_problem ?? store.shared_directory],
    ['requests', `${running} under way, ${waiting} of them waiting`],
  ]);
  if (requests.length === 0) return facts;
  const rows = requests.map((request) => [
    request.reference,
    String(request.uid),
    request.prefetch ? 'prefetch' : request.job_id === null ? '-' : `job ${request.job_id}`,
    request.phase,
    request.total_bytes === 0
      ? '-'
      : `${Math.floor((100 * request.done_bytes) / request.total_bytes)}% of ${formatBytes(request.total_bytes)}`,
    formatSpan(request.running_ms / 1000),
    request.detail,
  ]);
  return `${facts}\n${formatTable(['IMAGE', 'UID', 'FOR', 'PHASE', 'DONE', 'SINCE', ''], rows)}`;
}

function usedOf({ used_bytes, used_blobs, max_bytes, max_blobs }: NodeStatus['store']): string {
  const bytes = formatBytes(used_bytes) + (max_bytes === null ? '' : ` of ${formatBytes(max_bytes)}`);
  return `${bytes} in ${used_blobs}${max_blobs === null ? '' : ` of ${max_blobs}`} blobs`;
}

function phaseOf(phase: ProgressPhase | null | undefined): RunningRequest['phase'] {
  if (phase === ProgressPhase.PHASE_DOWNLOADING) return 'downloading';
  return phase === ProgressPhase.PHASE_WAITING ? 'waiting' : 'resolving';
}
