import type { PrepareResponseMessage } from './definitions.js';

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

/** The requests under way. */
export class RunningRequests {
  readonly #requests = new Set<RunningRequest>();

  add(request: RunningRequest): { update(progress: RunningProgress): void; end(): void } {
    this.#requests.add(request);
    return {
      update: (progress) => (request.progress = progress),
      end: () => this.#requests.delete(request),
    };
  }

  /** Of one user or of all. */
  list(uid?: number): RunningRequest[] {
    return [...this.#requests].filter((request) => uid === undefined || request.uid === uid);
  }
}
