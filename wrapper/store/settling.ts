/** So many blobs may wait for the disk; who brings more of them waits for the first. */
const mostWaiting = 128;

/** What the disk takes from a processor is missed by a download, which may be over by then. */
const restMs = 2000;

interface Task {
  readonly work: () => Promise<void>;
  readonly dueMs: number;
  readonly done: Promise<void>;
  readonly isDone: () => void;
}

/**
 * What is to be put on the disk when there is time: a while after it came, and one after the other, as each takes a
 * thread of libuv's few from those who write and compute digests.
 */
export class Settling {
  readonly #tasks: Task[] = [];
  #isRunning = false;
  #isEnding = false;
  #wake: () => void = () => undefined;

  /** Resolves at once, or when there is room for more. */
  async add(work: () => Promise<void>): Promise<void> {
    let isDone!: () => void;
    const done = new Promise<void>((resolve) => (isDone = resolve));
    this.#tasks.push({ work, dueMs: performance.now() + restMs, done, isDone });
    if (!this.#isRunning) void this.#run();
    while (this.#tasks.length >= mostWaiting) {
      this.#wake();
      await this.#tasks[0]?.done;
    }
  }

  /** Begins at once with what waits, and resolves when nothing does any more. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#wake();
    for (let last; (last = this.#tasks.at(-1));) await last.done;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let task; (task = this.#tasks[0]);) {
      await this.#rest(task.dueMs - performance.now());
      await task.work().catch(() => undefined);
      this.#tasks.shift();
      task.isDone();
    }
    this.#isRunning = false;
  }

  async #rest(ms: number): Promise<void> {
    if (this.#isEnding || ms <= 0 || this.#tasks.length >= mostWaiting) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
