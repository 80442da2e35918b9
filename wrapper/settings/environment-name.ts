import { quote } from '../image/quote.js';
import type { Refuse } from './refuse.js';

/** What the file with a user's defaults is called among settings files, so that no environment can be. */
export const configName = 'config';

/** Whether it can be the name of an environment, and with ".toml" that of a file in the directory. */
export function isEnvironmentName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(name) && name !== configName;
}

/** Calls `refuse` unless an environment may have that name, which becomes a file's. */
export function checkEnvironmentName(name: string, refuse: Refuse): void {
  if (name === configName) refuse(`"${name}" cannot be the name of an environment; choose another`);
  if (!isEnvironmentName(name)) {
    refuse(
      `${quote(name)} is no name of an environment: that has at most 128 letters, digits, ".", "_" and "-", and begins ` +
        'with none of the last',
    );
  }
}
