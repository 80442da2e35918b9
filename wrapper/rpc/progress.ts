import type { LayerProgress } from '../store/download-layers.js';
import { type PrepareResponseMessage, ProgressPhase } from './definitions.js';

const shortestGapMs = 500;
const heartbeatMs = 4000;

type Progress = NonNullable<PrepareResponseMessage['progress']>;

/**
 * Thins out progress for the wire: at most one event in half a second, and one at least every few
 * seconds, so that the client knows that somebody is there.
 */
export class ProgressReporter {
  #latest: Progress = { phase: ProgressPhase.PHASE_RESOLVING };
  #sentAtMs = -Infinity;
  #dirty = true;
  readonly #timer: NodeJS.Timeout;

  /** Nothing is sent while the client does not listen: what it has not read would pile up here. */
  constructor(
    private readonly send: (progress: Progress) => void,
    private readonly isListening: () => boolean = () => true,
  ) {
    this.#timer = setInterval(() => this.#tick(), shortestGapMs);
  }

  resolving(): void {
    this.#update({ phase: ProgressPhase.PHASE_RESOLVING });
  }

  /** With an empty sentence the wait is over. */
  waiting(detail: string): void {
    const phase = detail === '' ? ProgressPhase.PHASE_RESOLVING : ProgressPhase.PHASE_WAITING;
    this.#update({ ...this.#latest, phase, detail });
  }

  downloading(progress: LayerProgress): void {
    const { layerDigest, layerDoneBytes, layerTotalBytes, imageDoneBytes, imageTotalBytes, waiting } =
      progress;
    this.#update({
      phase: waiting === '' ? ProgressPhase.PHASE_DOWNLOADING : ProgressPhase.PHASE_WAITING,
      layerDigest,
      layerDoneBytes,
      layerTotalBytes,
      imageDoneBytes,
      imageTotalBytes,
      detail: waiting,
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #update(progress: Progress): void {
    this.#latest = progress;
    this.#dirty = true;
    this.#tick();
  }

  #tick(): void {
    const silentMs = performance.now() - this.#sentAtMs;
    if (silentMs < (this.#dirty ? shortestGapMs : heartbeatMs) || !this.isListening()) return;
    this.#sentAtMs = performance.now();
    this.#dirty = false;
    this.send(this.#latest);
  }
}
