import { nearestName } from '../config/nearest-name.js';
import { StowageError } from '../error.js';
import { checkEnvironmentName, configName } from './environment-name.js';
import { type GivenOption, mostOptionBytes, mostOptions } from './options.js';
import { readSettingsFile, type Settings, type SettingsText } from './settings-file.js';

/** How many environments may be built on each other. */
const mostBases = 8;
const mostListed = 16;

export type SettingsAnswer =
  /** These must be known as well. */
  | { wanted: string[] }
  /** All that holds: what the user asked for last, and so with the last word. */
  | { reference: string; options: GivenOption[] };

/**
 * Puts a user's defaults, the environment that `reference` names as "@NAME", those that it is built on, and what was
 * asked for into one list. Pure. Throws `settings-invalid`, naming file and key.
 */
export function readSettings(
  reference: string,
  given: readonly GivenOption[],
  files: readonly SettingsText[],
): SettingsAnswer {
  const config = files.find(({ name }) => name === configName);
  const defaults = config ? readSettingsFile(config).options : [];
  if (!reference.startsWith('@')) return { reference, options: together(defaults, given) };

  const name = reference.slice(1);
  checkEnvironmentName(name, (reason) => {
    throw new StowageError('settings-invalid', `--image: ${reason}`);
  });
  const stack = new EnvironmentStack(files);
  stack.add(name);
  if (stack.wanted.size > 0) return { wanted: [...stack.wanted] };
  const { image } = stack;
  if (image === undefined) {
    throw new StowageError(
      'settings-invalid',
      `environment "${name}" names no image, and neither does what it is built on; add image = "…" to ${stack.pathOf(name)}`,
    );
  }
  return { reference: image, options: together(defaults, stack.options, given) };
}

function together(...parts: readonly (readonly GivenOption[])[]): GivenOption[] {
  const options = parts.flat();
  const bytes = options.reduce((sum, { value }) => sum + Buffer.byteLength(value), 0);
  if (options.length > mostOptions || bytes > mostOptionBytes) {
    throw new StowageError(
      'settings-invalid',
      `config.toml, the environment and the command line come to ${options.length} options with ${bytes} bytes, and ` +
        `${mostOptions} with ${mostOptionBytes} are the most; leave something out`,
    );
  }
  return options;
}

/** Environments in the order in which they hold, each once: what another one is built on comes before it. */
class EnvironmentStack {
  readonly wanted = new Set<string>();
  readonly options: GivenOption[] = [];
  image: string | undefined;
  readonly #files: ReadonlyMap<string, SettingsText>;
  readonly #added = new Set<string>();

  constructor(files: readonly SettingsText[]) {
    this.#files = new Map(files.map((file) => [file.name, file]));
  }

  pathOf(name: string): string {
    return this.#files.get(name)?.path ?? name;
  }

  /** `above` are those that are built on it, the uppermost first. */
  add(name: string, above: readonly string[] = []): void {
    const chain = [...above, name];
    const file = this.#files.get(name);
    if (above.includes(name)) this.#refuseChain(chain, 'are built on each other in a circle');
    if (above.length > mostBases) this.#refuseChain(chain, `are more than ${mostBases} built on each other`);
    if (this.#added.has(name)) return;
    if (!file) {
      this.wanted.add(name);
      return;
    }
    if (file.path === '') this.#refuseMissing(file, above.at(-1));
    const settings = readSettingsFile(file);
    for (const base of settings.bases) {
      checkEnvironmentName(base, (reason) => {
        throw new StowageError('settings-invalid', `${file.path}: base: ${reason}`);
      });
      this.add(base, chain);
    }
    this.#added.add(name);
    this.#put(settings);
  }

  #put({ image, options }: Settings): void {
    this.image = image ?? this.image;
    this.options.push(...options);
  }

  #refuseChain(chain: readonly string[], what: string): never {
    const path = this.pathOf(chain.at(-2) ?? '');
    const names = chain.map((name) => `"${name}"`).join(' → ');
    throw new StowageError('settings-invalid', `${path}: base: environments ${names} ${what}`);
  }

  #refuseMissing({ name, problem, others }: SettingsText, above: string | undefined): never {
    const whose = above === undefined ? '' : `, which ${this.pathOf(above)} is built on,`;
    throw new StowageError(
      'settings-invalid',
      `environment "${name}"${whose} does not exist: ${problem}; ${suggest(name, others)}`,
    );
  }
}

function suggest(name: string, others: readonly string[]): string {
  const nearest = nearestName(name, others);
  if (nearest !== undefined) return `did you mean "${nearest}"?`;
  const names = [...new Set(others)].sort();
  if (names.length === 0) return 'there are no others either';
  return `there are ${names.slice(0, mostListed).join(', ')}${names.length > mostListed ? ' and more' : ''}`;
}
