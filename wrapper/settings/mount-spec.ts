import { nearestName } from '../config/nearest-name.js';
import { quote } from '../image/quote.js';
import { escapePart, splitEscaped, unescapePart } from './escaped-text.js';
import type { Refuse } from './refuse.js';

export type Propagation = 'private' | 'slave' | 'shared' | 'unbindable';

/** A part of --image-mount. */
export interface MountSpec {
  kind: 'bind' | 'tmpfs' | 'unmount';
  /** As it was written: absolute, or beginning with "./", "../" or "~/". Empty unless it is a bind mount. */
  source: string;
  /** Absolute, as it was written; undefined for the same path as the source. */
  target: string | undefined;
  readOnly: boolean;
  noSuid: boolean;
  noDev: boolean;
  noExec: boolean;
  recursive: boolean;
  propagation: Propagation | undefined;
  propagationRecursive: boolean;
  /** Of a tmpfs; undefined for the kernel's default. */
  sizeBytes: number | undefined;
  mode: number | undefined;
}

/** Flags of which one mount can have one only. */
const alternatives: readonly (readonly string[])[] = [
  ['bind', 'rbind'],
  ['ro', 'rw'],
  [...['private', 'slave', 'shared', 'unbindable'], ...['rprivate', 'rslave', 'rshared', 'runbindable']],
];
const restrictions = ['nosuid', 'nodev', 'noexec'];
const bindFlags = [...alternatives.flat(), ...restrictions];
const tmpfsFlags = ['ro', 'rw', ...restrictions, 'size=', 'mode='];
const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
};
const largestMode = 0o1777;

/**
 * Reads `SRC[:DST[:FLAGS]]`, `tmpfs:DST[:FLAGS]` and `umount:DST`, separated by ",". The same grammar is in C, in
 * spank-plugin/mount_spec.c; test/support/mounts.tsv holds the cases for both. The reason that `refuse` gets names
 * the part.
 */
export function parseMounts(text: string, refuse: Refuse): MountSpec[] {
  return splitEscaped(text, ',').map((item) => parseMount(item, refuse));
}

/** `text` with each relative source as a path that starts at `directory`. Call once it has been parsed. */
export function anchorSources(text: string, directory: string): string {
  const anchor = (source: string): string =>
    /^\.{1,2}(?:\/|$)/.test(source)
      ? escapePart(`${directory === '/' ? '' : directory}/`) + source.replace(/^\.(?:\/+|$)/, '')
      : source;
  return splitEscaped(text, ',')
    .map((item) => {
      const [source = '', ...rest] = splitEscaped(item, ':');
      return [anchor(source), ...rest].join(':');
    })
    .join(',');
}

function parseMount(item: string, refuseAll: Refuse): MountSpec {
  const refuse: Refuse = (reason) => refuseAll(`${quote(item)}: ${reason}`);
  if (/\p{Cc}/u.test(item)) return refuse('it holds a control character');
  if (item === '') return refuse('it is empty; write for example /data:/data:ro');
  const fields = splitEscaped(item, ':');
  const [first = '', second, third, ...surplus] = fields.map((field) => unescapePart(field, refuse));
  if (surplus.length > 0) return refuse('there are more than three parts; write "\\:" for a ":" in a path');
  if (first === '') return refuse('the source is missing');
  if (first === 'tmpfs' || first === 'umount') {
    if (second === undefined) return refuse(`where is missing, as in ${first}:/scratch`);
    checkTarget(second, refuse);
    if (first === 'tmpfs') return { ...tmpfs(third, refuse), target: second };
    if (third !== undefined) return refuse('umount takes no flags');
    return { ...plain, kind: 'unmount', target: second };
  }
  checkSource(first, refuse);
  if (second !== undefined) checkTarget(second, refuse);
  return { ...bind(third, refuse), source: first, target: second };
}

const plain: Omit<MountSpec, 'kind'> = {
  source: '',
  target: undefined,
  readOnly: false,
  noSuid: false,
  noDev: false,
  noExec: false,
  recursive: true,
  propagation: undefined,
  propagationRecursive: false,
  sizeBytes: undefined,
  mode: undefined,
};

function checkSource(source: string, refuse: Refuse): void {
  if (/^(?:\/|\.{1,2}(?:\/|$)|~(?:\/|$))/.test(source)) return;
  if (source.startsWith('~'))
    refuse('only "~/" stands for a home directory, your own; write the path in full');
  refuse(`the source ${quote(source)} must begin with "/", "./", "../" or "~/"`);
}

function checkTarget(target: string, refuse: Refuse): void {
  if (!target.startsWith('/')) refuse(`${quote(target)} must be an absolute path in the container`);
}

function bind(written: string | undefined, refuse: Refuse): MountSpec {
  const flags = splitFlags(written, bindFlags, refuse);
  const propagation = flags.find((flag) => alternatives[2]?.includes(flag));
  const word = propagation?.replace(/^r(?!w)/, '');
  return {
    ...plain,
    ...common(flags),
    kind: 'bind',
    recursive: !flags.includes('bind'),
    propagation: word as Propagation | undefined,
    propagationRecursive: propagation !== word,
  };
}

function tmpfs(written: string | undefined, refuse: Refuse): MountSpec {
  const flags = splitFlags(written, tmpfsFlags, refuse);
  return {
    ...plain,
    ...common(flags),
    kind: 'tmpfs',
    sizeBytes: sizeOf(valueOf(flags, 'size='), refuse),
    mode: modeOf(valueOf(flags, 'mode='), refuse),
  };
}

function common(flags: readonly string[]): Pick<MountSpec, 'readOnly' | 'noSuid' | 'noDev' | 'noExec'> {
  return {
    readOnly: flags.includes('ro'),
    noSuid: flags.includes('nosuid'),
    noDev: flags.includes('nodev'),
    noExec: flags.includes('noexec'),
  };
}

function splitFlags(written: string | undefined, known: readonly string[], refuse: Refuse): string[] {
  if (written === undefined) return [];
  const flags = written.split('+');
  const names = flags.map((flag) => flag.replace(/=.*$/s, '='));
  flags.forEach((flag, i) => {
    const name = names[i] as string;
    if (flag === '') refuse('a flag is missing');
    if (!known.includes(name)) {
      const nearest = nearestName(flag, known);
      refuse(
        `there is no flag ${quote(flag)}; ` +
          (nearest === undefined ? `known are ${known.join(', ')}` : `did you mean "${nearest}"?`),
      );
    }
    if (names.indexOf(name) < i) refuse(`"${name}" stands there twice`);
  });
  for (const choice of alternatives) {
    const [one, other] = flags.filter((flag) => choice.includes(flag));
    if (other !== undefined) refuse(`"${one}" and "${other}" contradict each other`);
  }
  return flags;
}

function valueOf(flags: readonly string[], name: string): string | undefined {
  return flags.find((flag) => flag.startsWith(name))?.slice(name.length);
}

function sizeOf(value: string | undefined, refuse: Refuse): number | undefined {
  if (value === undefined) return undefined;
  const [, digits = '', unit = ''] = /^([0-9]{1,15})([KMGT]?)$/i.exec(value) ?? [];
  const bytes = Number(digits) * (sizeUnits[unit.toUpperCase()] ?? Number.NaN);
  if (digits === '' || bytes === 0 || !Number.isSafeInteger(bytes)) {
    return refuse(`"size=${value}" is no size; write for example size=1G`);
  }
  return bytes;
}

function modeOf(value: string | undefined, refuse: Refuse): number | undefined {
  if (value === undefined) return undefined;
  const mode = /^[0-7]{3,5}$/.test(value) ? Number.parseInt(value, 8) : Number.NaN;
  if (!(mode > 0 && mode <= largestMode))
    return refuse(`"mode=${value}" is no mode; write for example mode=1777`);
  return mode;
}
