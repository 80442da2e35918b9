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
