import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';

import { nearestName } from '../config/nearest-name.js';
import { readEdits } from './container-edits.js';
import type { Edits } from './edits.js';
import { isDevice, isKind } from './names.js';
import { type SpecFile, specSchema } from './schema.js';
import type { SpecProblem } from './spec-problem.js';
import { type Keys, SpecText } from './spec-text.js';
import { checkVersion } from './versions.js';

/** A specification that can be used. */
export interface Spec {
  path: string;
  kind: string;
  /** By name, in the order of the file. */
  devices: ReadonlyMap<string, Edits>;
  /** For whoever gets any of the devices. */
  common: Edits;
}

let validator: ValidateFunction<SpecFile> | undefined;

/** Compiled when a node has a specification: most have none. */
function specValidator(): ValidateFunction<SpecFile> {
  return (validator ??= new Ajv({ verbose: true, allErrors: true }).compile<SpecFile>(specSchema));
}

/** Throws SpecProblem, which names file, line and value. */
export function parseSpec(path: string, content: string): Spec {
  const text = new SpecText(path, content);
  const isSpecFile = specValidator();
  const file = text.value;
  if (!isSpecFile(file)) throw explain(text, tellingError(isSpecFile.errors ?? []), kindOf(file));
  const { kind, devices, containerEdits = {} } = file;
  if (!isKind(kind))
    throw text.problem(['kind'], `must be vendor/class, as in "vendor.com/device", not "${kind}"`);
  checkVersion(text, file);
  const read = new Map<string, Edits>();
  devices.forEach((device, i) => {
    const keys: Keys = ['devices', i];
    if (!isDevice(device.name))
      throw text.problem([...keys, 'name'], `"${device.name}" cannot be a name`, kind);
    if (read.has(device.name))
      throw text.problem([...keys, 'name'], `"${device.name}" was given to another device before`, kind);
    read.set(device.name, readEdits(text, device.containerEdits ?? {}, [...keys, 'containerEdits'], kind));
  });
  return { path, kind, devices: read, common: readEdits(text, containerEdits, ['containerEdits'], kind) };
}

/** So that only those who want such a device have to know. */
function kindOf(file: unknown): string | undefined {
  const kind: unknown = typeof file === 'object' && file !== null && 'kind' in file ? file.kind : undefined;
  return typeof kind === 'string' && isKind(kind) ? kind : undefined;
}

/** A key that is misspelled is missing as well. */
function tellingError(errors: readonly ErrorObject[]): ErrorObject | undefined {
  return errors.find(({ keyword }) => keyword === 'additionalProperties') ?? errors[0];
}

function explain(text: SpecText, error: ErrorObject | undefined, kind: string | undefined): SpecProblem {
  const keys = keysOf(error?.instancePath ?? '');
  if (error?.keyword === 'additionalProperties') {
    const name = String(error.params.additionalProperty);
    const known = Object.keys((error.parentSchema as { properties?: object }).properties ?? {});
    const nearest = nearestName(name, known);
    return text.problem(
      [...keys, name],
      `is no key of CDI${nearest === undefined ? '' : `; did you mean "${nearest}"?`}`,
      kind,
    );
  }
  if (error?.keyword === 'required')
    return text.problem(
      keys,
      `${keys.length > 0 ? 'lacks' : 'there is no'} "${String(error.params.missingProperty)}"`,
      kind,
    );
  return text.problem(keys, `${keys.length > 0 ? '' : 'this '}${demand(error)}`, kind);
}

function demand(error: ErrorObject | undefined): string {
  switch (error?.keyword) {
    case 'type':
      return `must be ${kinds[String(error.params.type)] ?? String(error.params.type)}`;
    case 'enum':
      return `must be one of ${(error.params.allowedValues as string[]).filter((value) => value !== '').join(', ')}`;
    case 'minimum':
      return `must be at least ${String(error.params.limit)}`;
    case 'maximum':
      return `must be at most ${String(error.params.limit)}`;
    case 'minLength':
    case 'minItems':
      return 'must not be empty';
    default:
      return error?.message ?? 'is not valid';
  }
}

const kinds: Readonly<Record<string, string>> = {
  integer: 'a whole number',
  string: 'a text; numbers in YAML need quotes to be one',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys and values',
};

/** Of a JSON pointer. */
function keysOf(pointer: string): Keys {
  return pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((name) => (/^\d+$/.test(name) ? Number(name) : name));
}
