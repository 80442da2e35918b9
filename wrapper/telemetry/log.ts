/** Values that JSON shows as they are. */
export type LogFields = Record<string, string | number | boolean | undefined | Record<string, number>>;

export type LogLevel = 'info' | 'warning' | 'error';

/** One JSON object per line. */
export interface Log {
  write(level: LogLevel, event: string, fields?: LogFields): void;
}

/** A log on stderr, which systemd and Slurm's own tools collect. */
export function standardErrorLog(): Log {
  return logTo((line) => process.stderr.write(line));
}

export function logTo(sink: (line: string) => void): Log {
  return {
    write(level, event, fields = {}) {
      const line = JSON.stringify(
        { time: new Date().toISOString(), level, event, ...fields },
        (_, value: unknown) => (typeof value === 'string' ? redact(value) : value),
      );
      sink(`${line}\n`);
    },
  };
}

/** Takes out what could let somebody in: passwords in URLs, and Authorization values. */
export function redact(text: string): string {
  return text
    .replace(/\/\/[^/\s@]+@/g, '//***@')
    .replace(/\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{8,}/gi, '$1 ***');
}
