import { setImmediate as nextTurn } from 'node:timers/promises';

import type { sendUnaryData, ServerDuplexStream, ServerUnaryCall } from '@grpc/grpc-js';

import { StowageError } from '../error.js';
import { Complaints } from '../telemetry/complaints.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { Stopwatch } from '../telemetry/stopwatch.js';
import {
  type GetVersionResponseMessage,
  type PrepareRequestMessage,
  type PrepareResponseMessage,
  ProgressPhase,
  type ReadSettingsRequestMessage,
  type ReadSettingsResponseMessage,
  type ReportUnpackedRequestMessage,
  type ReportUnpackedResponseMessage,
} from './definitions.js';
import { AwaitedReports } from './awaited-reports.js';
import { Conversation } from './conversation.js';
import { peerFromLabel } from './peer.js';
import { prepare } from './prepare.js';
import { ProgressReporter } from './progress.js';
import { admitCaller } from '../policy/caller.js';
import { readSettings } from '../settings/read-settings.js';
import { type Ending, logRequest, logSettingsRefused, logUnpacked } from './request-log.js';
import { checkReport, checkRequest, jobOf, shownReference, thisSide } from './request.js';
import { checkSettingsRequest } from './settings-request.js';
import { asStowageError, statusOf } from './status.js';
import type { Request, Workshop } from './workshop.js';

type PrepareCall = ServerDuplexStream<PrepareRequestMessage, PrepareResponseMessage>;

/** How long a client may take to send what it is asked for. */
const clientPatienceMs = 30_000;
/** What a caller says beyond that would spoil the sum. */
const longestUnpackMs = 24 * 60 * 60 * 1000;
/** How long it may take until it is known that a client which stopped talking has gone. */
const leavingMs = 100;
/** In ten minutes, of calls that the plugin begins: it does not know yet whether the step will have something to ask. */
const mostTakenBack = 1000;

/** Between gRPC and the functions that do the work: translates, times, logs. */
export class ImageService {
  readonly #reports = new AwaitedReports();
  readonly #complaints: Complaints;

  constructor(
    private readonly workshop: Workshop,
    private readonly log: Log,
    private readonly metrics: Metrics,
  ) {
    this.#complaints = new Complaints(log);
  }

  getVersion(
    _call: ServerUnaryCall<unknown, GetVersionResponseMessage>,
    answer: sendUnaryData<GetVersionResponseMessage>,
  ): void {
    answer(null, { server: thisSide });
  }

  reportUnpacked(
    call: ServerUnaryCall<ReportUnpackedRequestMessage, ReportUnpackedResponseMessage>,
    answer: sendUnaryData<ReportUnpackedResponseMessage>,
  ): void {
    try {
      const { uid } = peerFromLabel(call.getPeer());
      admitCaller(this.workshop.config.mode, uid, this.workshop.ownUid);
      const report = checkReport(call.request);
      if (this.#reports.take(uid, report.imageDigest)) {
        logUnpacked(this.log, uid, report);
        this.metrics.unpacked(Math.min(report.unpackMs, longestUnpackMs) / 1000);
      }
      answer(null, {});
    } catch (error) {
      answer(statusOf(asStowageError(error)));
    }
  }

  readSettings(
    call: ServerUnaryCall<ReadSettingsRequestMessage, ReadSettingsResponseMessage>,
    answer: sendUnaryData<ReadSettingsResponseMessage>,
  ): void {
    let uid = -1;
    try {
      uid = peerFromLabel(call.getPeer()).uid;
      admitCaller(this.workshop.config.mode, uid, this.workshop.ownUid);
      const { reference, options, files } = checkSettingsRequest(call.request);
      answer(null, readSettings(reference, options, files));
    } catch (failure) {
      const error = asStowageError(failure);
      logSettingsRefused(this.log, uid, error);
      answer(statusOf(error));
    }
  }

  async prepare(call: PrepareCall): Promise<void> {
    const controller = new AbortController();
    let welcome: typeof thisSide | undefined = thisSide;
    // Each message takes a turn of the event loop: the first one is not for the welcome alone.
    const say = (event: PrepareResponseMessage): void => {
      call.write(welcome ? { welcome, ...event } : event);
      welcome = undefined;
    };
    const running = this.workshop.running.begin((reason) => controller.abort(reason));
    const progress = new ProgressReporter(
      (event) => {
        running.update(event, request.notes.image);
        say({ progress: event });
      },
      () => !call.writableNeedDrain,
    );
    const began = performance.now();
    const { signal } = controller;
    const conversation = new Conversation({
      patienceMs: clientPatienceMs,
      signal,
      ask: say,
      breakOff: (reason) => controller.abort(reason),
    });
    const request: Request = {
      callerUid: -1,
      signal,
      files: conversation,
      askLogin: (...asked) => conversation.login(...asked),
      progress,
      onLayers: (layers) => say({ layers }),
      stopwatch: new Stopwatch(),
      notes: {},
    };
    call.on('cancelled', () => controller.abort(new Cancelled()));
    call.on('data', (message: PrepareRequestMessage) => conversation.receive(message));
    // Of a caller who goes away the end is seen first.
    call.on('end', () => setTimeout(() => conversation.end(), leavingMs));
    let said: PrepareRequestMessage | undefined;
    let failure: unknown;
    try {
      request.callerUid = peerFromLabel(call.getPeer()).uid;
      said = await conversation.request();
      running.describe({
        uid: request.callerUid,
        job: jobOf(said.job),
        reference: shownReference(said),
        progress: { phase: ProgressPhase.PHASE_RESOLVING },
        beganMs: began,
        prefetch: said.prefetch,
      });
      const plan = await prepare(this.workshop, checkRequest(said), request);
      if (!said.prefetch && !said.unpackedDigests.includes(plan.imageDigest)) {
        this.#reports.add(request.callerUid, plan.imageDigest);
      }
      progress.close();
      say({ plan });
      // It is all that the caller waits for: it goes out before what is left to do.
      await nextTurn();
    } catch (error) {
      // Once aborted, whatever broke off broke off for that reason.
      failure = signal.aborted ? signal.reason : error;
      if (!(failure instanceof Cancelled)) call.emit('error', statusOf(naming(request.notes.image, failure)));
    } finally {
      progress.close();
      running.end();
      this.#end(call, said, request, performance.now() - began, failure);
      if (failure === undefined) call.end();
    }
  }

  #end(
    call: PrepareCall,
    said: PrepareRequestMessage | undefined,
    request: Request,
    totalMs: number,
    failure: unknown,
  ): void {
    if (!said && failure instanceof Cancelled) {
      this.#complaints.write(
        request.callerUid,
        'call taken back before it said anything',
        {},
        isOfPlugin(call) ? mostTakenBack : 0,
      );
      return;
    }
    const ending: Ending =
      failure === undefined
        ? 'prepared'
        : failure instanceof Cancelled
          ? 'cancelled'
          : asStowageError(failure);
    logRequest(this.log, said, request, totalMs, ending);
    const { downloadedBytes = 0 } = request.notes;
    this.metrics.requestEnded({
      code: ending === 'prepared' ? 'ok' : ending === 'cancelled' ? ending : ending.code,
      phasesMs: { ...request.stopwatch.phasesMs, total: totalMs },
      downloadedBytes,
      layers: said && ending === 'prepared' ? whereLayersWere(said, request) : undefined,
    });
  }
}

/** Undefined for an image of the caller's own. */
function whereLayersWere(
  { local, unpackedDigests }: PrepareRequestMessage,
  { notes: { digest = '', downloadedBytes = 0 } }: Request,
): 'unpacked' | 'downloaded' | 'cached' | undefined {
  if (local) return undefined;
  if (unpackedDigests.includes(digest)) return 'unpacked';
  return downloadedBytes > 0 ? 'downloaded' : 'cached';
}

/** early_call.c, which has begun the call for stowage-enter. */
function isOfPlugin({ metadata }: PrepareCall): boolean {
  return metadata.get('user-agent').some((agent) => agent.toString().startsWith('spank_stowage/'));
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
