import { spawn } from 'node:child_process';
import { account } from './users.js';

export interface RunOptions {
  /** Added to the clean environment of a login. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the user's home directory. */
  readonly cwd?: string;
  /** Default 60 s. What runs then gets SIGTERM and soon after SIGKILL. */
  readonly timeoutMs?: number;
  /** Aborting stops it in the same way; the promise still resolves with what there was. */
  readonly signal?: AbortSignal;
  /** Default: nothing, as from /dev/null. */
  readonly stdin?: string;
  /** File of the network namespace to run it in. Default: that of this process. */
  readonly network?: string | undefined;
  /** Called with pieces of output as they come. */
  readonly onOutput?: (text: string, stream: 'stdout' | 'stderr') => void;
}

export interface RunResult {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

const killAfterMs = 5_000;

/** Runs a command, or a string in bash, as that user would after a login. */
export const runAs = (
  user: string,
  command: string | readonly string[],
  options: RunOptions = {},
): Promise<RunResult> => {
  const { uid, gid, home } = account(user);
  const argv = typeof command === 'string' ? ['bash', '-c', command] : command;
  const { network } = options;
  // Only root may enter it.
  const [program, ...args] =
    network === undefined
      ? argv
      : ['nsenter', `--net=${network}`, `--setgid=${gid}`, `--setuid=${uid}`, '--', ...argv];
  const start = performance.now();
  // A process group of its own, so that a kill reaches the children as well.
  const child = spawn(program ?? 'true', args, {
    ...(network === undefined && { uid, gid }),
    cwd: options.cwd ?? home,
    detached: true,
    env: {
      HOME: home,
      USER: user,
      LOGNAME: user,
      SHELL: '/bin/bash',
      PATH: '/usr/local/bin:/usr/bin:/bin',
      LANG: 'C.UTF-8',
      ...options.env,
    },
    stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  child.stdin?.end(options.stdin);
  let lastResort: NodeJS.Timeout | undefined;
  const send = (signal: NodeJS.Signals) => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It ended in between.
    }
  };
  // An srun or salloc that is killed outright leaves its job behind.
  const kill = () => {
    send('SIGTERM');
    lastResort ??= setTimeout(send, killAfterMs, 'SIGKILL');
  };
  const timer = setTimeout(kill, options.timeoutMs ?? 60_000);
  options.signal?.addEventListener('abort', kill, { once: true });
  if (options.signal?.aborted === true) kill();
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (text: string) => {
      output[stream] += text;
      options.onOutput?.(text, stream);
    });
  }
  return new Promise<RunResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve({ code, signal, ...output, ms: performance.now() - start }),
    );
  }).finally(() => {
    clearTimeout(timer);
    clearTimeout(lastResort);
    options.signal?.removeEventListener('abort', kill);
  });
};
