/** One number of a run. */
export interface Sample {
  readonly value: number;
  /**
   * Nanoseconds that a word took from one processor to the other, without MPI, before and after; 0 for ranks on two nodes;
   * undefined if that changed meanwhile.
   */
  readonly handover: number | undefined;
}

/** Below, two handovers count as the same. Virtual processors that are moved to other cores change by twice and more. */
const tolerance = 1.25;

const alike = (one: number, other: number): boolean =>
  Math.max(one, other) <= tolerance * Math.min(one, other);

export const sample = (value: number, before: number, after: number): Sample => ({
  value,
  handover: alike(before, after) ? Math.min(before, after) : undefined,
});

/** What is known of one size: the numbers of both sides while the machine was in the same state. */
export interface Comparison {
  readonly handover: number;
  readonly host: readonly number[];
  readonly image: readonly number[];
}

/**
 * Of all states in which the machine was seen by both sides, the one that they saw most often; the faster of two. Undefined if
 * there is none.
 */
export const comparable = (host: readonly Sample[], image: readonly Sample[]): Comparison | undefined => {
  const handovers = [...host, ...image].flatMap(({ handover }) => handover ?? []).sort((a, b) => a - b);
  const within = (samples: readonly Sample[], least: number, most: number) =>
    samples.filter(({ handover = -1 }) => handover >= least && handover <= most).map(({ value }) => value);
  const starts = handovers.filter((each, at) => at === 0 || !alike(each, handovers[at - 1] ?? 0));
  const states = starts.map((least, at) => {
    const next = starts[at + 1] ?? Infinity;
    const most = Math.max(...handovers.filter((each) => each < next));
    return { handover: least, host: within(host, least, most), image: within(image, least, most) };
  });
  const seen = (state: Comparison) => Math.min(state.host.length, state.image.length);
  const [best] = states.filter((state) => seen(state) > 0).sort((a, b) => seen(b) - seen(a));
  return best;
};
