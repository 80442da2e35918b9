import { StowageError } from '../error.js';
import { quote } from './quote.js';

/** Distribution spec v1.1, "Pushing Manifests": registries should accept, and few exceed, 4 MiB. */
export const largestDocumentBytes = 4 * 1024 * 1024;

const deepestNesting = 64;

/**
 * Parses JSON from outside. Nesting is bounded and duplicate keys are refused, because two readers of one
 * signed document must not see two images in it. `what` begins the sentence: "the manifest of image X".
 */
export function parseDocument(bytes: Uint8Array, what: string): unknown {
  if (bytes.length > largestDocumentBytes) {
    throw malformed(`${what} is larger than ${largestDocumentBytes} bytes`);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw malformed(`${what} is not UTF-8 text`, error);
  }
  checkStructure(text, what);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw malformed(`${what} is not valid JSON`, error);
  }
}

/** Looks only at what JSON.parse would not refuse, and leaves the grammar to JSON.parse. */
function checkStructure(text: string, what: string): void {
  // One entry per open bracket: the keys so far of an object, undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let keyExpected = false;
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '{':
      case '[':
        open.push(text[at] === '{' ? new Set() : undefined);
        keyExpected = text[at] === '{';
        if (open.length > deepestNesting)
          throw malformed(`${what} is nested deeper than ${deepestNesting} levels`);
        break;
      case '}':
      case ']':
        open.pop();
        keyExpected = false;
        break;
      case ',':
        keyExpected = open.at(-1) !== undefined;
        break;
      case '"': {
        const end = endOfString(text, at);
        const keys = open.at(-1);
        if (keyExpected && keys) {
          const key = decodeString(text.slice(at, end + 1));
          if (keys.has(key)) throw malformed(`${what} has the key ${quote(key)} twice`);
          keys.add(key);
          keyExpected = false;
        }
        at = end;
        break;
      }
    }
  }
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at;
  }
  return text.length;
}

function decodeString(literal: string): string {
  try {
    return JSON.parse(literal) as string;
  } catch {
    return literal;
  }
}

function malformed(problem: string, cause?: unknown): StowageError {
  return new StowageError('image-malformed', `${problem}; ask whoever built the image to build it again`, {
    cause,
  });
}
