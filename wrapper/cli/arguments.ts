import { parseArgs } from 'node:util';

import { nearestName } from '../config/nearest-name.js';
import { quote } from '../image/quote.js';
import { UsageError } from './usage-error.js';

/** An option with a value, or one that is there or not. */
export type OptionKinds = Readonly<Record<string, 'value' | 'flag'>>;

/** Arguments of a command: what each option says, and what is not an option in its order. */
export interface ParsedArguments<Kinds extends OptionKinds> {
  options: { [Name in keyof Kinds]?: Kinds[Name] extends 'flag' ? true : string };
  operands: string[];
}

/**
 * Reads arguments as POSIX utilities do, long options alone; "--" ends the options. Throws UsageError, with the
 * nearest option there is. Of an option given twice the last counts.
 */
export function parseArguments<const Kinds extends OptionKinds>(
  args: readonly string[],
  kinds: Kinds,
): ParsedArguments<Kinds> {
  const names = Object.keys(kinds);
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      names.map((name) => [name, { type: kinds[name] === 'flag' ? 'boolean' : 'string' } as const]),
    ),
    strict: false,
    tokens: true,
  });
  const options: Record<string, string | true> = {};
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value } = token;
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined || !rawName.startsWith('--')) throw unknownOption(rawName, names);
    if (kind === 'flag' && value !== undefined) throw new UsageError(`${rawName} takes no value`);
    if (kind === 'value' && (value === undefined || (!token.inlineValue && value.startsWith('-')))) {
      throw new UsageError(`${rawName} needs a value; write ${rawName}=VALUE`);
    }
    options[name] = value ?? true;
  }
  return { options: options as ParsedArguments<Kinds>['options'], operands };
}

function unknownOption(rawName: string, names: readonly string[]): UsageError {
  const nearest = nearestName(rawName.replace(/^-+/, ''), names);
  return new UsageError(
    `there is no option ${quote(rawName)}` + (nearest === undefined ? '' : `; did you mean --${nearest}?`),
  );
}

const units: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

/** A whole number from 1 on, with K, M, G or T behind it for powers of 1024. Throws UsageError. */
export function parseAmount(option: string, text: string): number {
  const [, digits = '', unit = ''] = /^([0-9]+)([KMGT]?)$/.exec(text) ?? [];
  const amount = Number(digits) * (units[unit] as number);
  if (digits === '' || amount < 1 || !Number.isSafeInteger(amount)) {
    throw new UsageError(
      `${option} wants a whole number from 1 on, such as 500000 or 20G for 20 times 1024³, not ${quote(text)}`,
    );
  }
  return amount;
}

/** A whole number from 1 to `most`. Throws UsageError. */
export function parseCount(option: string, text: string, most: number): number {
  const count = Number(text);
  if (!/^[0-9]+$/.test(text) || count < 1 || count > most) {
    throw new UsageError(`${option} wants a whole number from 1 to ${most}, not ${quote(text)}`);
  }
  return count;
}

const seconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** A whole number from 0 on with s, m, h, d or w behind it; returns seconds. Throws UsageError. */
export function parseDuration(option: string, text: string): number {
  const [, digits = '', unit = ''] = /^([0-9]{1,9})([a-z])$/.exec(text) ?? [];
  const unitSeconds = seconds[unit];
  if (unitSeconds === undefined) {
    throw new UsageError(
      `${option} wants a number with s, m, h, d or w behind it, such as 30d for 30 days, not ${quote(text)}`,
    );
  }
  return Number(digits) * unitSeconds;
}

/** One of a few words. Throws UsageError. */
export function parseChoice<const Choice extends string>(
  option: string,
  text: string,
  choices: readonly Choice[],
): Choice {
  const choice = choices.find((candidate) => candidate === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`${option} wants one of ${choices.join(', ')}, not ${quote(text)}`);
}
