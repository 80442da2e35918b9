import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

import { reasonOf } from '../error.js';
import { CommandError } from './command-error.js';

/** stowage-unpack's exit statuses, refusal.hh. */
const refusedByContent = 1;

/** What identification may print: 10,000 members with names of some length. */
const mostOutputBytes = 64 * 1024 * 1024;
const mostWords = 16_384;

export interface UnpackerJob {
  /** Arguments other than --progress-fd; descriptors in them are 4, 5, … in the order of `descriptors`. */
  args: readonly string[];
  descriptors: readonly number[];
  /** What it works on, for messages: "image ubuntu:24.04". */
  what: string;
  /** Bytes that were read of source number `index`, of its `total`. */
  onProgress: (index: number, done: number, total: number) => void;
  signal: AbortSignal;
}

/** The first descriptor of a job; below are the standard ones and the one for progress. */
export const firstDescriptor = 4;

export interface UnpackerAnswer {
  stdout: Buffer;
  /** What it had to say although all went well; one sentence each. */
  warnings: string[];
}

/** Runs stowage-unpack. Throws CommandError with its sentence, or the signal's reason once it has ended. */
export async function runUnpacker(program: string, job: UnpackerJob): Promise<UnpackerAnswer> {
  const { args, descriptors, what, signal } = job;
  signal.throwIfAborted();
  const child = spawn(program, ['--progress-fd', '3', ...args], {
    // Its own process group: a terminal's ^C is ours to answer.
    detached: true,
    env: {},
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', ...descriptors],
  });
  // It has nothing to lose, and what it leaves half done is removed by whoever asked for it.
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    const [, stdoutPipe, stderrPipe, progressPipe] = child.stdio as unknown as Readable[];
    const stdout = collect(stdoutPipe as Readable, mostOutputBytes);
    const stderr = collect(stderrPipe as Readable, mostWords);
    listen(progressPipe as Readable, job.onProgress);
    const { status, endedBy } = await endOf(child, program);
    signal.throwIfAborted();
    const words = stderr().toString('utf8').trim();
    if (status === 0) return { stdout: stdout(), warnings: words === '' ? [] : words.split('\n') };
    const reason = words === '' ? `stowage-unpack ended with ${endedBy ?? `status ${status}`}` : words;
    throw new CommandError(
      status === refusedByContent
        ? `${what} is refused: ${reason}`
        : `${what} cannot be unpacked here: ${reason}`,
    );
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

/** Waits until neither the program nor a child of it is there: they hold the pipes. */
function endOf(
  child: ChildProcess,
  program: string,
): Promise<{ status: number | null; endedBy: string | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      reject(new CommandError(`${program} cannot be started (${reasonOf(error)})`, { cause: error }));
    });
    child.once('close', (status, endedBy) => resolve({ status, endedBy }));
  });
}

/** Reads to the end and keeps the first bytes. */
function collect(stream: Readable, mostBytes: number): () => Buffer {
  const chunks: Buffer[] = [];
  let kept = 0;
  stream.on('data', (chunk: Buffer) => {
    const fresh = chunk.subarray(0, mostBytes - kept);
    kept += fresh.length;
    if (fresh.length > 0) chunks.push(fresh);
  });
  return () => Buffer.concat(chunks);
}

/** Lines are "INDEX DONE TOTAL", progress.hh. */
function listen(stream: Readable, onProgress: UnpackerJob['onProgress']): void {
  let rest = '';
  stream.setEncoding('latin1').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [, index, done, total] = /^(\d+) (\d+) (\d+)$/.exec(line) ?? [];
      if (total !== undefined) onProgress(Number(index), Number(done), Number(total));
    }
  });
}
