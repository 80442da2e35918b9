import { quote } from '../image/quote.js';
import { escapePart, splitEscaped, unescapePart } from './escaped-text.js';
import { jobOwn } from './job-own.js';
import type { Refuse } from './refuse.js';

/** A part of --image-env. */
export interface EnvSpec {
  name: string;
  /** Undefined for what the job has. */
  value: string | undefined;
}

/** Reads `NAME[=VALUE]`, separated by ",". The reason that `refuse` gets names the part, and never a value. */
export function parseEnv(text: string, refuse: Refuse): EnvSpec[] {
  return splitEscaped(text, ',').map((item) => {
    const equals = item.indexOf('=');
    const name = equals < 0 ? item : item.slice(0, equals);
    const value = equals < 0 ? undefined : item.slice(equals + 1);
    checkName(name, refuse);
    if (value?.includes('\0')) return refuse(`the value of ${name} holds a NUL, which no variable can`);
    return {
      name,
      value: value && unescapePart(value, (reason) => refuse(`${name}: ${reason}`)),
    };
  });
}

/** As `NAME[=VALUE]` has to be written. */
export function formatEnv({ name, value }: EnvSpec): string {
  return value === undefined ? name : `${name}=${escapePart(value)}`;
}

export function checkName(name: string, refuse: Refuse): void {
  if (name === '') refuse('the name of a variable is missing; write NAME=VALUE');
  if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) {
    refuse(`${quote(name)} is no name of a variable; for a "," in a value write "\\,"`);
  }
  if (jobOwn.test(name))
    refuse(`${name} is Slurm's, or Stowage's, and tells a rank what it is; leave it out`);
}
