import type { sendUnaryData, ServerDuplexStream, ServerUnaryCall } from '@grpc/grpc-js';

import { StowageError } from '../error.js';
import { withoutCredentials } from '../image/quote.js';
import type { Log } from '../telemetry/log.js';
import { Stopwatch } from '../telemetry/stopwatch.js';
import type {
  GetVersionResponseMessage,
  PrepareRequestMessage,
  PrepareResponseMessage,
} from './definitions.js';
import { Conversation } from './conversation.js';
import { peerFromLabel } from './peer.js';
import { prepare } from './prepare.js';
import { ProgressReporter } from './progress.js';
import { checkRequest, thisSide } from './request.js';
import type { RunningRequests } from './running.js';
import { asStowageError, statusOf } from './status.js';
import type { Request, Workshop } from './workshop.js';

type PrepareCall = ServerDuplexStream<PrepareRequestMessage, PrepareResponseMessage>;

/** How long a client may take to send what it is asked for. */
const clientPatienceMs = 30_000;
/** How long it may take until it is known that a client which stopped talking has gone. */
const leavingMs = 100;

/** Between gRPC and the functions that do the work: translates, times, logs. */
export class ImageService {
  readonly #running = new Set<AbortController>();

  constructor(
    private readonly workshop: Workshop,
    private readonly log: Log,
  ) {}

  get runningCount(): number {
    return this.#running.size;
  }

  /** Fails every Prepare that is under way. */
  abortAll(reason: StowageError): void {
    for (const controller of this.#running) controller.abort(reason);
  }

  getVersion(
    _call: ServerUnaryCall<unknown, GetVersionResponseMessage>,
    answer: sendUnaryData<GetVersionResponseMessage>,
  ): void {
    answer(null, { server: thisSide });
  }

  async prepare(call: PrepareCall): Promise<void> {
    const controller = new AbortController();
    let running: ReturnType<RunningRequests['add']> | undefined;
    const progress = new ProgressReporter((event) => {
      running?.update(event);
      call.write({ progress: event });
    });
    const began = performance.now();
    const { signal } = controller;
    const conversation = new Conversation({
      patienceMs: clientPatienceMs,
      signal,
      ask: (question) => void call.write(question),
      breakOff: (reason) => controller.abort(reason),
    });
    const request: Request = {
      callerUid: -1,
      signal,
      files: conversation,
      askLogin: (...asked) => conversation.login(...asked),
      progress,
      onLayers: (layers) => void call.write({ layers }),
      stopwatch: new Stopwatch(),
      notes: {},
    };
    this.#running.add(controller);
    call.on('cancelled', () => controller.abort(new Cancelled()));
    call.on('data', (message: PrepareRequestMessage) => conversation.receive(message));
    // Of a caller who goes away the end is seen first.
    call.on('end', () => setTimeout(() => conversation.end(), leavingMs));
    let said: PrepareRequestMessage | undefined;
    let failure: unknown;
    try {
      request.callerUid = peerFromLabel(call.getPeer()).uid;
      call.write({ welcome: thisSide });
      said = await conversation.request();
      running = this.workshop.running.add({
        uid: request.callerUid,
        job: {
          jobId: said.job?.jobId ?? 0,
          stepId: said.job?.stepId ?? 0,
          nodeName: said.job?.nodeName ?? '',
        },
        reference: withoutCredentials(said.reference.slice(0, 300)),
        progress: {},
        beganMs: began,
        prefetch: said.prefetch,
      });
      const plan = await prepare(this.workshop, checkRequest(said), request);
      call.write({ plan });
      call.end();
    } catch (error) {
      // Once aborted, whatever broke off broke off for that reason.
      failure = signal.aborted ? signal.reason : error;
      if (!(failure instanceof Cancelled)) call.emit('error', statusOf(naming(request.notes.image, failure)));
    } finally {
      progress.close();
      running?.end();
      this.#running.delete(controller);
      this.#report(said, request, performance.now() - began, failure);
    }
  }

  #report(
    said: PrepareRequestMessage | undefined,
    request: Request,
    totalMs: number,
    failure: unknown,
  ): void {
    const { job, reference = '' } = said ?? {};
    const common = {
      job: job?.jobId ?? 0,
      step: stepName(job?.stepId ?? 0),
      uid: request.callerUid,
      image: request.notes.image ?? withoutCredentials(reference.slice(0, 300)),
      digest: request.notes.digest,
      downloadedBytes: request.notes.downloadedBytes ?? 0,
      ms: { ...request.stopwatch.phasesMs, total: Math.round(totalMs) },
    };
    if (failure === undefined) return this.log.write('info', 'prepared', common);
    if (failure instanceof Cancelled) return this.log.write('info', 'cancelled', common);
    const { code, message, cause } = asStowageError(failure);
    // The stack of a defect belongs in the log, and nowhere else.
    const detail = code === 'internal' && cause instanceof Error ? cause.stack : undefined;
    this.log.write(code === 'internal' ? 'error' : 'warning', 'refused', {
      ...common,
      code,
      message,
      detail,
    });
  }
}

/** Slurm's name for the steps that have no number of their own (slurm/slurm.h: SLURM_BATCH_SCRIPT and others). */
function stepName(stepId: number): number | string {
  return stepId === 0xfffffffb ? 'batch' : stepId === 0xfffffffa ? 'interactive' : stepId;
}

/** A message for the user names the image; what was thrown deep down may not know it. */
function naming(image: string | undefined, failure: unknown): StowageError {
  const error = asStowageError(failure);
  if (image === undefined || error.message.includes(image)) return error;
  return new StowageError(error.code, `image ${image} cannot be had: ${error.message}`, { cause: error });
}

/** The caller went away; there is nobody to tell. */
class Cancelled extends Error {
  constructor() {
    super('the caller went away');
  }
}
