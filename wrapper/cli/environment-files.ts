import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { reasonOf } from '../error.js';
import { isEnvironmentName } from '../settings/environment-name.js';
import { readSettings } from '../settings/read-settings.js';
import type { SettingsText } from '../settings/settings-file.js';
import type { Surroundings } from './surroundings.js';

const suffix = '.toml';
const largestFileBytes = 256 * 1024;

/** An environment that --image=@NAME would find. */
export interface FoundEnvironment {
  name: string;
  /** Absolute. */
  file: string;
  /** As --image takes it; null if it cannot be used, for which there is a reason then. */
  image: string | null;
  problem: string | null;
}

/** The directories that stowage-enter looks into, in that order; see spank-plugin/enter/settings_files.h. */
export function environmentDirectories({ env, home }: Surroundings, site: string): string[] {
  const config = env['XDG_CONFIG_HOME'];
  return [join(config?.startsWith('/') ? config : join(home, '.config'), 'stowage/environments'), site];
}

/** By name. A variable that the environment lacks here, a job may have. */
export function findEnvironments(
  directories: readonly string[],
  env: Readonly<NodeJS.ProcessEnv>,
): FoundEnvironment[] {
  const files = new Map<string, string>();
  for (const directory of directories) {
    for (const name of namesIn(directory)) {
      if (!files.has(name)) files.set(name, join(directory, `${name}${suffix}`));
    }
  }
  const read = (name: string): SettingsText => readText(name, directories, files.get(name), env);
  return [...files]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, file]) => ({ name, file, ...resolve(name, read) }));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((entry) => entry.endsWith(suffix))
      .map((entry) => entry.slice(0, -suffix.length))
      .filter(isEnvironmentName);
  } catch {
    // There is none, or it is nobody's business.
    return [];
  }
}

function resolve(
  name: string,
  read: (name: string) => SettingsText,
): Pick<FoundEnvironment, 'image' | 'problem'> {
  const texts = [read(name)];
  try {
    for (;;) {
      const answer = readSettings(`@${name}`, [], texts);
      if ('reference' in answer) return { image: answer.reference, problem: null };
      texts.push(...answer.wanted.map(read));
    }
  } catch (error) {
    return { image: null, problem: reasonOf(error) };
  }
}

function readText(
  name: string,
  directories: readonly string[],
  path: string | undefined,
  env: Readonly<NodeJS.ProcessEnv>,
): SettingsText {
  const variables = new Map(
    Object.entries(env).flatMap(([variable, value]) => (value === undefined ? [] : [[variable, value]])),
  );
  const text = { name, variables, others: [], content: new Uint8Array(), problem: '' };
  if (path === undefined) {
    return { ...text, path: '', directory: '', problem: `it is neither in ${directories.join(' nor in ')}` };
  }
  const directory = path.slice(0, path.lastIndexOf('/'));
  try {
    return { ...text, path, directory, content: readRegularFile(path) };
  } catch (error) {
    return { ...text, path, directory, problem: `cannot be read (${reasonOf(error)})` };
  }
}

/** Neither waits for a FIFO nor reads without end. */
function readRegularFile(path: string): Uint8Array {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const info = fstatSync(fd);
    if (!info.isFile()) throw new Error('it is not a regular file');
    if (info.size > largestFileBytes) throw new Error(`it is larger than ${largestFileBytes} bytes`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
