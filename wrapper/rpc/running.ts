import type { StowageError } from '../error.js';
import { type PrepareResponseMessage, ProgressPhase } from './definitions.js';

export type RunningProgress = NonNullable<PrepareResponseMessage['progress']>;

/** A request that is being worked on. */
export interface RunningRequest {
  uid: number;
  job: { jobId: number; stepId: number; nodeName: string };
  /** Without credentials. */
  reference: string;
  progress: RunningProgress;
  /** performance.now() when it came. */
  beganMs: number;
  prefetch: boolean;
}

/** A call, of which nothing is known until it has said what it wants. */
interface Call {
  abort: (reason: StowageError) => void;
  request: RunningRequest | undefined;
}

/** What the one who works on a request says about it. */
export interface RunningHandle {
  /** `request` may be changed until its end. */
  describe(request: RunningRequest): void;
  /** `reference` is given as soon as the name in full is known. */
  update(progress: RunningProgress, reference?: string): void;
  end(): void;
}

/** The calls under way. */
export class RunningRequests {
  readonly #calls = new Set<Call>();

  /** `abort` ends the call. */
  begin(abort: Call['abort']): RunningHandle {
    const call: Call = { abort, request: undefined };
    this.#calls.add(call);
    return {
      describe: (request) => (call.request = request),
      update: (progress, reference = call.request?.reference) => {
        if (call.request) Object.assign(call.request, { progress, reference });
      },
      end: () => this.#calls.delete(call),
    };
  }

  /** Those that have said nothing yet are among them. */
  get callCount(): number {
    return this.#calls.size;
  }

  abortAll(reason: StowageError): void {
    for (const { abort } of this.#calls) abort(reason);
  }

  /** Of one user or of all, the oldest first. */
  list(uid?: number): RunningRequest[] {
    return [...this.#calls].flatMap(({ request }) =>
      request && (uid === undefined || request.uid === uid) ? [request] : [],
    );
  }

  /** Of all users; those that wait, for their turn or for a registry, are not among the running ones. */
  get counts(): { running: number; waiting: number } {
    const all = this.list();
    const waiting = all.filter(({ progress }) => progress.phase === ProgressPhase.PHASE_WAITING).length;
    return { running: all.length - waiting, waiting };
  }
}
