import { Ajv } from 'ajv';

import { quote } from '../image/quote.js';
import { readAtMost } from './body.js';
import type { HttpResponse } from './http.js';

/** What a registry says beside the status of a refusal. */
export interface Words {
  /** "DENIED", "MANIFEST_UNKNOWN": distribution-spec v1.1, "Error Codes". */
  codes: readonly string[];
  /** As a clause to put behind a statement: ` (it says "…")`; or empty. */
  clause: string;
}

const noWords: Words = { codes: [], clause: '' };

const largestBytes = 16 * 1024;

// "Error Codes" of the distribution spec; token services say "details" or, as OAuth2 has it, "error_description".
const isErrors = new Ajv().compile<{
  errors?: { code?: string; message?: string }[];
  details?: string;
  error_description?: string;
}>({
  type: 'object',
  properties: {
    errors: {
      type: 'array',
      items: {
        type: 'object',
        properties: { code: { type: 'string' }, message: { type: 'string' } },
      },
    },
    details: { type: 'string' },
    error_description: { type: 'string' },
  },
});

/** Reads the body of a refusal to its end. `isSecret` finds in it what must not be repeated. */
export async function readWords(response: HttpResponse, isSecret: (text: string) => boolean): Promise<Words> {
  let text: string;
  try {
    text = (await readAtMost(response.body, largestBytes))?.toString() ?? '';
  } catch {
    return noWords;
  }
  const answer = parse(text);
  if (!isErrors(answer)) return noWords;
  const { errors = [], details, error_description: description } = answer;
  const codes = errors.flatMap(({ code }) => (code === undefined ? [] : [code.toUpperCase()]));
  const message = errors.find(({ message = '' }) => message !== '')?.message ?? description ?? details ?? '';
  // What is quoted, and not the text around it, where JSON may write a secret in another way.
  if (message === '' || isSecret(message)) return { codes, clause: '' };
  return { codes, clause: ` (it says ${quote(withoutTokens(message))})` };
}

/** Queries of URLs and what looks like a token are of no use to a reader, and might be to somebody else. */
function withoutTokens(message: string): string {
  return message
    .replace(/\/\/[^/\s@]+@/g, '//***@')
    .replace(/\?[^\s"'?]*=[^\s"']*/g, '?***')
    .replace(/\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{8,}/gi, '$1 ***');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
