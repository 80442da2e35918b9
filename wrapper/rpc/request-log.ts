import type { StowageError } from '../error.js';
import type { Log, LogFields } from '../telemetry/log.js';
import type { PrepareRequestMessage } from './definitions.js';
import { pullPolicies, shownReference, type UnpackedReport } from './request.js';
import type { Request } from './workshop.js';

/** How a request ended; a caller who goes away is no failure. */
export type Ending = 'prepared' | 'cancelled' | StowageError;

/** The one line about a request: who, for which job, what, and how long each phase took. */
export function logRequest(
  log: Log,
  said: PrepareRequestMessage | undefined,
  request: Request,
  totalMs: number,
  ending: Ending,
): void {
  const { notes, stopwatch, callerUid } = request;
  const fields: LogFields = {
    ...jobFields(said?.job),
    uid: callerUid,
    image: notes.image ?? shownReference(said),
    digest: notes.digest,
    downloadedBytes: notes.downloadedBytes ?? 0,
    pull: said && pullPolicies.get(said.pull),
    prefetch: said?.prefetch === true ? true : undefined,
    ms: { ...stopwatch.phasesMs, total: Math.round(totalMs) },
  };
  if (ending === 'prepared' || ending === 'cancelled') return log.write('info', ending, fields);
  log.write(...refusal(fields, ending));
}

function refusal(fields: LogFields, { code, message, cause }: StowageError): Parameters<Log['write']> {
  const isDefect = code === 'internal';
  // The stack of a defect belongs in the log, and nowhere else.
  const detail = isDefect && cause instanceof Error ? cause.stack : undefined;
  return [isDefect ? 'error' : 'warning', 'refused', { ...fields, code, message, detail }];
}

/** The one line about settings that cannot be used; about others the request has one. */
export function logSettingsRefused(log: Log, uid: number, error: StowageError): void {
  log.write(...refusal({ uid }, error));
}

/** What became of a plan. */
export function logUnpacked(log: Log, uid: number, report: UnpackedReport): void {
  const { job, imageDigest: digest, treeBytes, treeInodes, unpackMs } = report;
  log.write('info', 'unpacked', {
    ...jobFields(job),
    uid,
    digest,
    treeBytes,
    treeInodes,
    ms: { unpack: unpackMs },
  });
}

function jobFields(job: PrepareRequestMessage['job']): { job: number; step: number | string } {
  return { job: job?.jobId ?? 0, step: stepName(job?.stepId ?? 0) };
}

/** Slurm's name for the steps that have no number of their own (slurm/slurm.h: SLURM_BATCH_SCRIPT and others). */
function stepName(stepId: number): number | string {
  return stepId === 0xfffffffb ? 'batch' : stepId === 0xfffffffa ? 'interactive' : stepId;
}
