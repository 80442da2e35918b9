import { StowageError } from '../error.js';
import type { Reference } from '../image/reference.js';
import type { Waiting } from '../registry/client.js';
import { RegistryError } from '../registry/error.js';
import type { Supply } from '../store/registry-image.js';
import type { Request, Workshop } from './workshop.js';

interface Visit {
  supply: Supply;
  waiting: Waiting;
  end: () => void;
}

/**
 * One request's dealings with registries. They begin when something is needed that is not on the node: then the
 * caller waits for a turn, the time for one image begins to run, and there is a session with the caller's logins.
 * Whoever finds all of it here never comes so far, and so never waits behind other people's downloads.
 */
export class RegistryVisit {
  #visit: Promise<Visit> | undefined;
  #impatience: Impatience | undefined;

  constructor(
    private readonly workshop: Workshop,
    private readonly reference: Reference,
    private readonly request: Request,
    /** Thrown instead of asking anybody. */
    private readonly forbidden?: StowageError,
  ) {}

  /**
   * Does something that may need a registry. Throws `registry-unreachable` if it takes longer than `patienceMs`,
   * in which the time that the caller's own programs take for a login does not count.
   */
  async ask<Result>(
    work: (supply: Supply, waiting: Waiting) => Promise<Result>,
    patienceMs?: number,
  ): Promise<Result> {
    if (this.forbidden) throw this.forbidden;
    const { supply, waiting } = await (this.#visit ??= this.#begin());
    const impatience = patienceMs === undefined ? undefined : new Impatience(patienceMs, this.reference);
    this.#impatience = impatience;
    const signal = impatience ? AbortSignal.any([waiting.signal, impatience.signal]) : waiting.signal;
    try {
      return await work(supply, { ...waiting, signal });
    } catch (error) {
      // Once aborted, whatever broke off broke off for that reason.
      throw signal.aborted ? signal.reason : error;
    } finally {
      impatience?.stop();
      this.#impatience = undefined;
    }
  }

  /** Forgets the caller's logins and lets the next one in. */
  async end(): Promise<void> {
    const visit = await this.#visit?.catch(() => undefined);
    visit?.end();
  }

  async #begin(): Promise<Visit> {
    const { config, registry, store, transfers } = this.workshop;
    const { callerUid, progress, notes } = this.request;
    const onWait = (sentence: string): void => progress.waiting(sentence);
    const admission = notes.prefetch ? this.workshop.prefetchAdmission : this.workshop.admission;
    const began = performance.now();
    const leave = await admission.enter(callerUid, this.request.signal, onWait);
    notes.waitedMs = Math.round(performance.now() - began);

    const session = registry.session((...asked) => this.#login(...asked));
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(tooLate(this.reference, config.download.deadlineMs)),
      config.download.deadlineMs,
    );
    timer.unref();
    return {
      supply: { session, transfers, store, uid: callerUid },
      waiting: { signal: AbortSignal.any([this.request.signal, late.signal]), onWait },
      end: () => {
        clearTimeout(timer);
        session.close();
        leave();
      },
    };
  }

  async #login(...asked: Parameters<Request['askLogin']>): ReturnType<Request['askLogin']> {
    const impatience = this.#impatience;
    impatience?.stop();
    try {
      return await this.request.askLogin(...asked);
    } finally {
      impatience?.start();
    }
  }
}

/** A deadline that can be stopped, and begins anew each time. */
class Impatience {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly ms: number,
    private readonly reference: Reference,
  ) {
    this.start();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  start(): void {
    this.stop();
    const { registry } = this.reference;
    const reason = new RegistryError(
      'registry-unreachable',
      `registry ${registry} cannot be reached: it gave no useful answer within ${this.ms / 1000} s; try again later`,
    );
    this.#timer = setTimeout(() => this.#controller.abort(reason), this.ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

function tooLate({ canonical, registry }: Reference, deadlineMs: number): StowageError {
  return new RegistryError(
    'registry-failing',
    `image ${canonical} did not come from registry ${registry} within ${deadlineMs / 1000} s, the most that ` +
      'this site allows for one image (download.deadline_seconds); try again, the layers that are complete stay ' +
      'here, or ask the administrators to raise it',
  );
}
