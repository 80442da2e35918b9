import type { ErrorObject } from 'ajv';

import { explain, parseToml } from '../config/toml-file.js';
import { reasonOf, StowageError } from '../error.js';
import { parseSource } from '../image/source.js';
import { checkName, formatEnv } from './env-spec.js';
import { configName } from './environment-name.js';
import { escapePart } from './escaped-text.js';
import { Expansion, type Variables } from './expand.js';
import { anchorSources } from './mount-spec.js';
import { checkOption, type GivenOption, isOptionName } from './options.js';
import type { Refuse } from './refuse.js';
import {
  reasonsAgainst,
  reasonsAgainstInConfig,
  type SettingsTable,
  settingsValidator,
} from './settings-schema.js';

/** SettingsFile of proto/stowage/v1/image.proto, whose comments say what each field means. */
export interface SettingsText {
  name: string;
  path: string;
  content: Uint8Array;
  problem: string;
  variables: Variables;
  directory: string;
  others: readonly string[];
}

/** What a file says, ready for use. */
export interface Settings {
  /** Undefined if it names none. */
  image: string | undefined;
  /** The environments that it is built on. */
  bases: readonly string[];
  options: readonly GivenOption[];
}

/** What the texts of one file may come to, variables included. */
const mostTextBytes = 256 * 1024;

/** Throws `settings-invalid`, naming the file, the line if it is no TOML, and otherwise the key. */
export function readSettingsFile(file: SettingsText): Settings {
  const refuse: Refuse = (problem) => {
    throw new StowageError('settings-invalid', `${file.path}: ${problem}`);
  };
  if (file.problem !== '') throw new StowageError('settings-invalid', `${file.path} ${file.problem}`);
  const table = readTable(file, refuse);
  return new Reading(file, table, refuse).settings();
}

function readTable({ name, content }: SettingsText, refuse: Refuse): SettingsTable {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    return refuse('it is not UTF-8; save it again as such');
  }
  const table = parseToml(text, refuse);
  const isConfig = name === configName;
  const isValid = settingsValidator(isConfig ? 'config' : 'environment');
  if (isValid(table)) return table;
  const reasons = isConfig ? { ...reasonsAgainst, ...reasonsAgainstInConfig } : reasonsAgainst;
  return refuse(explain(isValid.errors?.[0], (error, key) => explainOwn(error, key, reasons)));
}

function explainOwn(
  { keyword, params }: ErrorObject,
  key: string,
  reasons: Readonly<Record<string, string>>,
): string | undefined {
  if (keyword !== 'additionalProperties' || key !== '') return undefined;
  const name = String(params['additionalProperty']);
  return Object.hasOwn(reasons, name) ? `${name} cannot be set here: ${reasons[name]}` : undefined;
}

/** One file, on its way from its keys to what they mean. */
class Reading {
  readonly #options: GivenOption[] = [];
  readonly #expansion: Expansion;

  constructor(
    private readonly file: SettingsText,
    private readonly table: SettingsTable,
    private readonly refuseFile: Refuse,
  ) {
    this.#expansion = new Expansion(file.variables, mostTextBytes);
  }

  settings(): Settings {
    const { table } = this;
    this.#list('mount', 'mount');
    this.#list('mounts', 'mount');
    this.#list('device', 'device');
    this.#list('devices', 'device');
    if (table.workdir !== undefined) this.#add('workdir', 'workdir', this.#expand('workdir', table.workdir));
    this.#environment();
    for (const key of ['home', 'writable', 'root', 'entrypoint', 'show_digest'] as const) {
      const value = table[key];
      if (value !== undefined) this.#add(key, key.replace('_', '-'), value ? 'yes' : 'no');
    }
    if (table.unshare !== undefined && table.unshare.length > 0)
      this.#add('unshare', 'unshare', table.unshare.join(','));
    if (table.pull !== undefined) this.#add('pull', 'pull', table.pull);
    const bases = [table.base ?? []].flat();
    return {
      image: table.image === undefined ? undefined : this.#image(table.image),
      bases: bases.map((base) => this.#expand('base', base)),
      options: this.#options,
    };
  }

  #list(key: 'mount' | 'mounts' | 'device' | 'devices', name: 'mount' | 'device'): void {
    const values = (this.table[key] ?? []).map((written, i) => {
      const at = `${key}.${i}`;
      // A variable is one path, or one part of it, whatever letters it holds.
      const value = this.#expand(at, written, name === 'mount' ? escapePart : undefined);
      checkOption(name, value, this.#refuseKey(at));
      return name === 'mount' ? anchorSources(value, this.file.directory) : value;
    });
    if (values.length > 0) this.#add(key, name, values.join(','));
  }

  #environment(): void {
    const { env = {}, env_from_job: fromJob = [] } = this.table;
    const set = Object.entries(env).map(([name, written]) => {
      checkName(name, this.#refuseKey('env'));
      const key = `env.${name}`;
      const item = formatEnv({ name, value: this.#expand(key, written) });
      checkOption('env', item, this.#refuseKey(key));
      return item;
    });
    for (const name of fromJob) checkName(name, this.#refuseKey('env_from_job'));
    const all = [...set, ...fromJob];
    if (all.length > 0) this.#add('env', 'env', all.join(','));
  }

  #add(key: string, name: string, value: string): void {
    if (isOptionName(name)) checkOption(name, value, this.#refuseKey(key));
    this.#options.push({ name, value, origin: `${this.file.path}: ${key}` });
  }

  /** A relative path begins at the file. */
  #image(written: string): string {
    const refuse = this.#refuseKey('image');
    const text = this.#expand('image', written);
    if (text.startsWith('@')) return refuse(`it cannot be an environment; write base = "${text.slice(1)}"`);
    try {
      const source = parseSource(text);
      if (source.kind === 'registry' || /^[/~]/.test(source.location)) return text;
      const scheme = text.slice(0, text.length - source.location.length);
      return `${scheme}${this.file.directory}/${source.location.replace(/^\.\/+/, '')}`;
    } catch (error) {
      return refuse(reasonOf(error));
    }
  }

  #expand(key: string, text: string, protect?: (value: string) => string): string {
    return this.#expansion.expand(text, this.#refuseKey(key), protect);
  }

  #refuseKey(key: string): Refuse {
    return (reason) => this.refuseFile(`${key}: ${reason}`);
  }
}
