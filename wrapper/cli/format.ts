const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** "468.2 MB": powers of 1000, one digit after the point from kB on. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] as string}`;
}

const smallest = { name: 'second', seconds: 1 };
const spans = [
  { name: 'day', seconds: 86_400 },
  { name: 'hour', seconds: 3600 },
  { name: 'minute', seconds: 60 },
];

/** "3 hours": the largest unit that fits, rounded down. */
export function formatSpan(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const span = spans.find((candidate) => whole >= candidate.seconds) ?? smallest;
  const count = Math.floor(whole / span.seconds);
  return `${count} ${span.name}${count === 1 ? '' : 's'}`;
}
