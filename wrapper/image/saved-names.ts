import { quote } from './quote.js';
import { parseReference } from './reference.js';

const mostListed = 20;

/** Whether a name that was saved is the one that is asked for: "app:1" is "docker.io/library/app:1". */
export function namesSameImage(saved: string, wanted: string): boolean {
  return saved === wanted || (canonical(saved) ?? saved) === canonical(wanted);
}

/** The names of what is there, for the end of a sentence. */
export function listNames(names: readonly (string | undefined)[]): string {
  const distinct = [...new Set(names.filter((name) => name !== undefined))];
  const listed = distinct.slice(0, mostListed).map((name) => quote(name).slice(1, -1));
  if (distinct.length > mostListed) listed.push(`${distinct.length - mostListed} more`);
  if (names.includes(undefined))
    listed.push(listed.length === 0 ? 'images without a name' : 'one without a name');
  return listed.join(', ');
}

function canonical(name: string): string | undefined {
  try {
    return parseReference(name).canonical;
  } catch {
    return undefined;
  }
}
