import { spawn } from 'node:child_process';

/** The end of what the command printed on stderr, for the error. */
const keptLines = 15;

const namespaces = ['--mount', '--propagation', 'private', '--pid', '--mount-proc', '--fork', '--kill-child'];

/**
 * Runs the command in mount and process namespaces of its own: whatever becomes of it, and when `signal`
 * aborts, no process and no mount of it outlives the returned promise.
 */
export const runContained = async (
  argv: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<void> => {
  const { env, signal } = options;
  signal?.throwIfAborted();
  // Detached: a Ctrl-C must not reach it, and some of these programs signal their whole process group.
  const child = spawn('unshare', [...namespaces, '--', ...argv], {
    detached: true,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const kill = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', kill, { once: true });
  let tail: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    tail = [...(tail.join('\n') + text).split('\n')].slice(-keptLines);
  });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    signal?.throwIfAborted();
    if (code !== 0) throw new Error(`${argv[0] ?? ''} failed:\n${tail.join('\n').trimEnd()}`);
  } finally {
    signal?.removeEventListener('abort', kill);
  }
};
