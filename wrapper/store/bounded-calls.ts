/** libuv has four threads; a file system that hangs may take these, and no more. */
const mostAtOnce = 2;

/** A call that has not come back in time, and may never. */
export class CallHangs extends Error {
  constructor(patienceMs: number) {
    super(`it has not answered for ${Math.round(patienceMs / 1000)} s`);
  }
}

/**
 * Calls of a file system that may hang. One that does cannot be ended; it is given up, and until it comes back
 * nothing more is asked of that file system.
 */
export class BoundedCalls {
  #running = 0;
  #hanging = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(private readonly patienceMs: number) {}

  /** Throws CallHangs, at once if another call hangs. `late` gets the result that nobody waits for any more. */
  async run<T>(work: () => Promise<T>, late: (result: T) => unknown = () => undefined): Promise<T> {
    while (this.#running >= mostAtOnce && this.#hanging === 0)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#hanging > 0) throw new CallHangs(this.patienceMs);
    this.#running++;
    const call = (async () => work())();
    let givenUp = false;
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        givenUp = true;
        this.#hanging++;
        this.#wakeAll();
        reject(new CallHangs(this.patienceMs));
      }, this.patienceMs).unref();
    });
    const back = (): void => {
      clearTimeout(timer);
      this.#running--;
      if (givenUp) this.#hanging--;
      this.#waiting.shift()?.();
    };
    call.then(
      (result) => {
        back();
        if (givenUp) late(result);
      },
      () => back(),
    );
    return Promise.race([call, tooLong]);
  }

  #wakeAll(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
