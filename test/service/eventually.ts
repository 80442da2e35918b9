const patienceMs = 20_000;
const pauseMs = 50;

/** Tries until there is an answer. `what` says what was waited for in vain. */
export async function eventually<Answer>(
  attempt: () => Promise<Answer | undefined>,
  what: () => string,
): Promise<Answer> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const answer = await attempt();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`waited ${patienceMs / 1000} s for ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
