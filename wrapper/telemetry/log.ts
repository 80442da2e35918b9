import { fstatSync } from 'node:fs';

/** Values that JSON shows as they are. */
export type LogFields = Record<string, string | number | boolean | undefined | Record<string, number>>;

export type LogLevel = 'info' | 'warning' | 'error';

/** One JSON object per line. */
export interface Log {
  write(level: LogLevel, event: string, fields?: LogFields): void;
}

/** Priorities of syslog(3), as sd-daemon(3) writes them in front of a line. */
const priorities: Record<LogLevel, string> = { error: '<3>', warning: '<4>', info: '<6>' };

/** A log on stderr, which systemd and Slurm's own tools collect; systemd's journal is told the level as well. */
export function standardErrorLog(): Log {
  // Whoever collected the lines may go away. That is no reason to end.
  process.stderr.on('error', () => undefined);
  const prefixes = leadsToJournal(process.stderr.fd) ? priorities : undefined;
  return logTo((line, level) => process.stderr.write((prefixes?.[level] ?? '') + line));
}

/** Whether that descriptor is the one that systemd made: systemd.exec(5), "JOURNAL_STREAM". */
export function leadsToJournal(fd: number, stream = process.env['JOURNAL_STREAM']): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(fd);
  return stream === `${dev}:${ino}`;
}

export function logTo(sink: (line: string, level: LogLevel) => void): Log {
  return {
    write(level, event, fields = {}) {
      const line = JSON.stringify(
        { time: new Date().toISOString(), level, event, ...fields },
        (_, value: unknown) => (typeof value === 'string' ? redact(value) : value),
      );
      sink(`${line}\n`, level);
    },
  };
}

/** Takes out what could let somebody in: passwords in URLs, and Authorization values. */
export function redact(text: string): string {
  return text
    .replace(/\/\/[^/\s@]+@/g, '//***@')
    .replace(/\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{8,}/gi, '$1 ***');
}
