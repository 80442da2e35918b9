import { spawn, type StdioOptions } from 'node:child_process';

/** Who runs the unpackers: a uid that needs no account. */
export const ordinaryUser = { uid: 65432, gid: 65432 };

export interface Command {
  readonly argv: readonly [string, ...string[]];
  /** Descriptors from 3 on. */
  readonly descriptors?: readonly number[];
  /** Default: the ordinary user. */
  readonly asRoot?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Finished {
  readonly seconds: number;
  readonly stderr: string;
}

/** Runs it to its end, from an empty standard input to nowhere. Throws what it said unless it succeeds. */
export const runTimed = (
  { argv, descriptors = [], asRoot = false, env = {} }: Command,
  signal: AbortSignal,
): Promise<Finished> =>
  new Promise((resolve, reject) => {
    const [program, ...args] = argv;
    const stdio: StdioOptions = ['ignore', 'ignore', 'pipe', ...descriptors];
    const start = performance.now();
    const child = spawn(program, args, {
      ...(asRoot ? {} : ordinaryUser),
      cwd: '/',
      env: { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', ...env },
      stdio,
      signal,
    });
    let end = start;
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('exit', () => (end = performance.now()));
    child.once('close', (code) => {
      if (code === 0) resolve({ seconds: (end - start) / 1000, stderr });
      else
        reject(new Error(`${argv.join(' ').slice(0, 200)} ended with status ${code}:\n${stderr.trimEnd()}`));
    });
  });

/** A pipeline of bash in which no part may fail; `args` are `$1` and so on. */
export const script = (text: string, ...args: string[]): Command => ({
  argv: ['bash', '-o', 'errexit', '-o', 'pipefail', '-c', text, 'bench', ...args],
});

/** The fastest there is in Debian for either. */
export const decompressors = { gzip: 'igzip', zstd: 'zstd' } as const;
