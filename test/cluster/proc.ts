import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

/** What the kernel says of one live process, or undefined when it is gone or a zombie. */
export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  /** Clock ticks after boot; together with the pid it names a process for good. */
  readonly startTicks: number;
}

export const processFacts = (pid: number): ProcessFacts | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command stands in parentheses and may itself hold some, so count from the last one.
    const end = stat.lastIndexOf(')');
    const fields = stat.slice(end + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return {
      pid,
      parent: Number(fields[1]),
      command: stat.slice(stat.indexOf('(') + 1, end),
      startTicks: Number(fields[19]),
    };
  } catch {
    return undefined;
  }
};

export const allProcesses = (): ProcessFacts[] =>
  readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map((name) => processFacts(Number(name)))
    .filter((facts) => facts !== undefined);

/** Names a mount namespace; undefined when the process has gone meanwhile. */
export const mountNamespace = (pid: number | 'self'): string | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
};

/** Names the file at the end of the links; undefined when it or the process has gone meanwhile. */
export const identityOf = (path: string): string | undefined => {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
};

/** One line of /proc/PID/mountinfo; see proc(5). */
export interface MountEntry {
  readonly device: string;
  readonly mountPoint: string;
  readonly line: string;
}

export const mountsOf = (pid: number | 'self'): MountEntry[] => {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, 'latin1')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const fields = line.split(' ');
        return { device: fields[2] ?? '', mountPoint: fields[4] ?? '', line };
      });
  } catch {
    return [];
  }
};

/** A variable of the environment a process was started with. */
export const startEnvironment = (pid: number, name: string): string | undefined => {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1')
      .split('\0')
      .find((entry) => entry.startsWith(`${name}=`))
      ?.slice(name.length + 1);
  } catch {
    return undefined;
  }
};

/** The arguments it was started with, separated by spaces; empty when it has gone. */
export const commandLine = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
};
