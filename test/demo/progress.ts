const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** Says what is being done, for how long already, and in the end how long it took. */
export const progress = async <T>(text: string, work: () => Promise<T>): Promise<T> => {
  const { stdout } = process;
  const start = performance.now();
  const elapsed = () => seconds(performance.now() - start);
  const show = stdout.isTTY
    ? () => stdout.write(`\r\u001b[K${text} … ${elapsed()}`)
    : () => stdout.write(`${text} … ${elapsed()}\n`);
  const timer = setInterval(show, stdout.isTTY ? 200 : 15_000);
  if (stdout.isTTY) show();
  try {
    const result = await work();
    stdout.write(`${stdout.isTTY ? '\r\u001b[K' : ''}${text}: ${elapsed()}\n`);
    return result;
  } catch (error) {
    stdout.write(`${stdout.isTTY ? '\r\u001b[K' : ''}${text}: failed after ${elapsed()}\n`);
    throw error;
  } finally {
    clearInterval(timer);
  }
};
