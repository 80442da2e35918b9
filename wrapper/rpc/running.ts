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

/** What the one who works on a request says about it. */
export interface RunningHandle {
  /** `reference` is given as soon as the name in full is known. */
  update(progress: RunningProgress, reference?: string): void;
  end(): void;
}

/** The requests under way. */
export class RunningRequests {
  readonly #requests = new Set<RunningRequest>();

  /** `request` may be changed until its end. */
  add(request: RunningRequest): RunningHandle {
    this.#requests.add(request);
    return {
      update: (progress, reference = request.reference) => Object.assign(request, { progress, reference }),
      end: () => this.#requests.delete(request),
    };
  }

  /** Of one user or of all, the oldest first. */
  list(uid?: number): RunningRequest[] {
    return [...this.#requests].filter((request) => uid === undefined || request.uid === uid);
  }

  /** Of all users; those that wait, for their turn or for a registry, are not among the running ones. */
  get counts(): { running: number; waiting: number } {
    let waiting = 0;
    for (const { progress } of this.#requests) if (progress.phase === ProgressPhase.PHASE_WAITING) waiting++;
    return { running: this.#requests.size - waiting, waiting };
  }
}
