import { quote } from '../image/quote.js';
import type { Refuse } from './refuse.js';

export type Variables = ReadonlyMap<string, string>;

/**
 * `text` with the values of the variables that it names as ${NAME}, each made safe by `protect` for where it goes;
 * "$${" stands for "${".
 */
export function expand(
  text: string,
  variables: Variables,
  refuse: Refuse,
  protect: (value: string) => string = (value) => value,
): string {
  return text.replaceAll(/\$(\$\{|\{(?:([A-Za-z_][A-Za-z0-9_]*)\})?)/g, (_, rest: string, name?: string) => {
    if (rest === '${') return '${';
    if (name === undefined)
      return refuse(`${quote(text)} holds a "\${" without NAME}; for the two letters write "$\${"`);
    const value = variables.get(name);
    if (value === undefined)
      return refuse(`the job has no variable ${name}, which ${quote(text)} names; set it`);
    return protect(value);
  });
}
