import { quote } from '../image/quote.js';
import type { Refuse } from './refuse.js';

export type Variables = ReadonlyMap<string, string>;

/** The texts of one file, with the values of variables in the place of their names. */
export class Expansion {
  /** `roomBytes` is what all texts together may come to. */
  constructor(
    private readonly variables: Variables,
    private roomBytes: number,
  ) {}

  /**
   * `text` with the values of the variables that it names as ${NAME}, each made safe by `protect` for where it
   * goes; "$${" stands for "${".
   */
  expand(text: string, refuse: Refuse, protect: (value: string) => string = (value) => value): string {
    this.#take(Buffer.byteLength(text), refuse);
    return text.replaceAll(
      /\$(\$\{|\{(?:([A-Za-z_][A-Za-z0-9_]*)\})?)/g,
      (_, rest: string, name?: string) => {
        if (rest === '${') return '${';
        if (name === undefined)
          return refuse(`${quote(text)} holds a "\${" without NAME}; for the two letters write "$\${"`);
        const value = this.variables.get(name);
        if (value === undefined)
          return refuse(`the job has no variable ${name}, which ${quote(text)} names; set it`);
        this.#take(Buffer.byteLength(value), refuse);
        return protect(value);
      },
    );
  }

  #take(bytes: number, refuse: Refuse): void {
    this.roomBytes -= bytes;
    if (this.roomBytes < 0) refuse('with its variables, the file comes to more text than can be used');
  }
}
