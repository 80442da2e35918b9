import { readFileSync } from 'node:fs';
import { ordinaryUser, type Command } from './command.js';

/** Calls by name. */
export type SystemCalls = Readonly<Record<string, number>>;

/** Counts the system calls of the command into `output`. As root, because the unpacker lets nobody else look. */
export const withSystemCalls = (command: Command, output: string): Command => ({
  ...command,
  asRoot: true,
  argv: [
    ...(['strace', '-f', '-q', '-c', '-U', 'calls,name', '-o', output] as const),
    ...['setpriv', `--reuid=${ordinaryUser.uid}`, `--regid=${ordinaryUser.gid}`, '--clear-groups', '--'],
    ...command.argv,
  ],
});

/** Reads strace's summary. */
export const parseSystemCalls = (summary: string): SystemCalls => {
  const rows = [...summary.matchAll(/^\s*(\d+)\s+(\w+)$/gm)].map(([, calls, name]) => [name, Number(calls)]);
  const { total, ...calls } = Object.fromEntries(rows) as Record<string, number>;
  if (total === undefined) throw new Error(`strace's summary has no total:\n${summary}`);
  return calls;
};

export const readSystemCalls = (output: string): SystemCalls =>
  parseSystemCalls(readFileSync(output, 'utf8'));

export const totalCalls = (calls: SystemCalls): number =>
  Object.values(calls).reduce((total, count) => total + count, 0);
