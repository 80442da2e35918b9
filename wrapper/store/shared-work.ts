/**
 * Work that several callers want and that is done once. Each caller has a signal of its own; the work is
 * aborted when the last caller has gone.
 */
export class SharedWork<Event> {
  readonly #running = new Map<string, Job<Event>>();

  /**
   * Joins the work under `key`, or starts it. Rejects with the caller's own reason when its signal aborts,
   * whatever the work does.
   */
  async run(
    key: string,
    start: (signal: AbortSignal, emit: (event: Event) => void) => Promise<void>,
    caller: { signal: AbortSignal; onEvent: (event: Event) => void },
  ): Promise<void> {
    caller.signal.throwIfAborted();
    const job = this.#running.get(key) ?? this.#start(key, start);
    let leave = (): void => undefined;
    const left = new Promise<never>((_, reject) => {
      leave = () => reject(caller.signal.reason as Error);
    });
    caller.signal.addEventListener('abort', leave, { once: true });
    job.listeners.add(caller.onEvent);
    if (job.lastEvent !== undefined) caller.onEvent(job.lastEvent);
    try {
      await Promise.race([job.done, left]);
    } finally {
      caller.signal.removeEventListener('abort', leave);
      job.listeners.delete(caller.onEvent);
      if (job.listeners.size === 0) this.#stop(key, job);
    }
  }

  #start(
    key: string,
    start: (signal: AbortSignal, emit: (event: Event) => void) => Promise<void>,
  ): Job<Event> {
    const controller = new AbortController();
    const job: Job<Event> = {
      done: Promise.resolve(),
      controller,
      listeners: new Set(),
      lastEvent: undefined,
    };
    const emit = (event: Event): void => {
      job.lastEvent = event;
      for (const listener of job.listeners) listener(event);
    };
    job.done = start(controller.signal, emit).finally(() => this.#forget(key, job));
    // When every caller has left, nobody awaits the rejection that their leaving caused.
    job.done.catch(() => undefined);
    this.#running.set(key, job);
    return job;
  }

  #stop(key: string, job: Job<Event>): void {
    // Forgotten at once: a caller who comes now must not join work that is dying.
    this.#forget(key, job);
    job.controller.abort(new Error('nobody waits for this any more'));
  }

  #forget(key: string, job: Job<Event>): void {
    if (this.#running.get(key) === job) this.#running.delete(key);
  }
}

interface Job<Event> {
  done: Promise<void>;
  controller: AbortController;
  listeners: Set<(event: Event) => void>;
  lastEvent: Event | undefined;
}
