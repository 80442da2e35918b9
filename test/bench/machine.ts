import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

/** Bytes of memory that can be had without taking any from somebody else. */
export const availableMemory = (): number => {
  const [, kibibytes] = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? [];
  const constrained = process.constrainedMemory();
  return Math.min(Number(kibibytes) * 1024, constrained > 0 ? constrained : Infinity);
};

/** What the numbers are worth, in one line. */
export const describeMachine = (): string =>
  [
    `${availableParallelism()} processors (${cpus()[0]?.model.trim() ?? 'unknown'})`,
    `${(totalmem() / 2 ** 30).toFixed(0)} GiB of memory`,
    `Linux ${release()}`,
    `load before the run ${loadavg()[0]?.toFixed(2) ?? ''}`,
  ].join(', ');
