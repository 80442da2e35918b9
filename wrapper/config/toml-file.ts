import type { ErrorObject } from 'ajv';
import { parse, TomlError } from 'smol-toml';

import { quote } from '../image/quote.js';
import { nearestName } from './nearest-name.js';

/** The tables of a TOML file. The reason that `refuse` gets names the line. */
export function parseToml(text: string, refuse: (problem: string) => never): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    return refuse(`line ${error.line}: ${error.message.split('\n')[0]}`);
  }
}

/**
 * What ajv, with its option `verbose`, has against a file, in words for whoever wrote it. `explainOwn` goes first,
 * and may leave an error to this.
 */
export function explain(
  error: ErrorObject | undefined,
  explainOwn: (error: ErrorObject, key: string) => string | undefined = () => undefined,
): string {
  if (!error) return 'is not valid';
  const key = keyOf(error.instancePath);
  const own = explainOwn(error, key);
  if (own !== undefined) return own;
  switch (error.keyword) {
    case 'additionalProperties':
      return explainUnknown(error, key);
    case 'required':
      return `${key} lacks "${String(error.params.missingProperty)}"`;
    case 'type':
      return `${key} must be ${kindOf(error.params.type as string | string[])}`;
    case 'minimum':
      return `${key} must be at least ${String(error.params.limit)}`;
    case 'maximum':
      return `${key} must be at most ${String(error.params.limit)}`;
    case 'enum':
      return `${key} must be one of ${(error.params.allowedValues as string[]).join(', ')}`;
    default:
      return `${key} ${error.message ?? 'is not valid'}`;
  }
}

function explainUnknown(error: ErrorObject, key: string): string {
  const name = String(error.params.additionalProperty);
  const known = Object.keys((error.parentSchema as { properties?: object }).properties ?? {});
  const nearest = nearestName(name, known);
  const place = key === '' ? '' : ` in [${key}]`;
  return `unknown key ${quote(name)}${place}${nearest ? `; did you mean "${nearest}"?` : `; known are ${known.join(', ')}`}`;
}

/** What a value must be, by the type of the schema. */
const kinds: Readonly<Record<string, string>> = {
  integer: 'a whole number',
  string: 'a text in quotes',
  boolean: 'true or false',
  array: 'a list, as in ["one", "two"]',
  object: 'a section of keys and values',
};

function kindOf(type: string | readonly string[]): string {
  return [type]
    .flat()
    .map((name) => kinds[name] ?? name)
    .join(' or ');
}

/** A JSON pointer as the key stands in the file: registries."docker.io".http */
function keyOf(instancePath: string): string {
  return instancePath
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((name) => (/^[A-Za-z0-9_-]+$/.test(name) ? name : `"${name}"`))
    .join('.');
}
