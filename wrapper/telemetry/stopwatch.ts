/** How long each phase of a request took, in whole milliseconds. */
export class Stopwatch {
  readonly phasesMs: Record<string, number> = {};

  /** Runs one phase. A phase that fails is timed as well. */
  async time<Result>(phase: string, work: () => Promise<Result>): Promise<Result> {
    const began = performance.now();
    try {
      return await work();
    } finally {
      this.phasesMs[phase] = Math.round((this.phasesMs[phase] ?? 0) + performance.now() - began);
    }
  }
}
