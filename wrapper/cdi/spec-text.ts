import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';

import { reasonOf } from '../error.js';
import { SpecProblem } from './spec-problem.js';

/** From the root of a specification to one of its values. */
export type Keys = readonly (string | number)[];

/** More than a person writes, and too few for a text of a few lines to become gigabytes. */
const mostAliases = 1000;

/** A specification as text, and where in it each of its values stands. JSON is read as the YAML that it is. */
export class SpecText {
  readonly value: unknown;
  readonly #root: Node | null;
  readonly #lines = new LineCounter();
  readonly #resolve: (node: unknown) => unknown;

  /** Throws SpecProblem, with the line, for what is not YAML. `path` is the file's, for messages. */
  constructor(
    readonly path: string,
    text: string,
  ) {
    try {
      const document = parseDocument(text, {
        lineCounter: this.#lines,
        prettyErrors: false,
        // With 'silent' it would say nothing of further documents.
        logLevel: 'error',
      });
      const [fault] = [...document.errors, ...document.warnings];
      if (fault) throw new SpecProblem(path, this.#lines.linePos(fault.pos[0]).line, fault.message);
      this.#root = document.contents;
      this.#resolve = (node) => (isAlias(node) ? node.resolve(document) : node);
      this.value = document.toJS({ maxAliasCount: mostAliases });
    } catch (error) {
      if (error instanceof SpecProblem) throw error;
      // Nested too deep for the stack, or too many aliases.
      throw new SpecProblem(path, undefined, `cannot be read as YAML (${reasonOf(error)})`);
    }
  }

  /** Says what is wrong with the value that `keys` lead to. */
  problem(keys: Keys, what: string, kind?: string): SpecProblem {
    const place = placeOf(keys);
    return new SpecProblem(this.path, this.lineOf(keys), place === '' ? what : `${place} ${what}`, kind);
  }

  /** Of the value, or of what is nearest to it if it is missing. */
  lineOf(keys: Keys): number {
    let node: unknown = this.#root;
    let at = offsetOf(node) ?? 0;
    for (const key of keys) {
      const below = step(this.#resolve(node), key);
      if (!below) break;
      at = below.at;
      node = below.node;
    }
    return this.#lines.linePos(at).line;
  }
}

/** "devices[0].containerEdits.mounts[1].hostPath" */
export function placeOf(keys: Keys): string {
  return keys
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`))
    .join('')
    .replace(/^\./, '');
}

/** A key is on the line on which people look for it, its value perhaps on the next. */
function step(node: unknown, key: string | number): { node: unknown; at: number } | undefined {
  if (isSeq(node) && typeof key === 'number') {
    const item = node.items[key];
    const at = offsetOf(item);
    return at === undefined ? undefined : { node: item, at };
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
  const at = offsetOf(pair?.key);
  return pair && at !== undefined ? { node: pair.value, at } : undefined;
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}
