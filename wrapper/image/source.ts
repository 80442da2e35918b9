import { StowageError } from '../error.js';
import { quote } from './quote.js';
import { parseReference, type Reference } from './reference.js';
import { dockerHub, type ShortNames } from './short-names.js';

/** What a user calls an image: one in a registry, or something in the user's own files. */
export type Source = { kind: 'registry'; reference: Reference } | LocalSource;

export interface LocalSource {
  kind: 'local';
  /** "path" says nothing about what is there: its content will. */
  scheme: 'oci' | 'oci-archive' | 'docker-archive' | 'path';
  /** All that follows the scheme. If there is something of that name, it is the path and nothing is selected. */
  location: string;
  /** Otherwise this is the path, as written: absolute, relative, or "~/" and what follows. */
  path: string;
  /** A tag or, for docker-archive, a name as in docker's RepoTags; "" if there is one image only. */
  selector: string;
}

/** As long as a path may be in the kernel, with room for the scheme. In bytes of UTF-8. */
const longestSource = 4096;

const schemeExpression = /^(oci|oci-archive|docker-archive):(.*)$/s;
const fileName = /^[^/:@#]+\.(?:sif|sqsh|squashfs|tgz|tar|tar\.[^/:@#]+|cpio|cpio\.gz)$/;

/**
 * Tells apart what can be given to --image and to the commands. The same grammar is in C, in
 * spank-plugin; test/support/references.tsv holds the cases that both must agree on.
 * `names` is as in parseReference. Throws `reference-malformed` with the reason.
 */
export function parseSource(text: string, names: ShortNames = dockerHub): Source {
  const refuse = (reason: string): never => {
    throw new StowageError('reference-malformed', `image ${quote(text)} is not valid: ${reason}`);
  };
  if (Buffer.byteLength(text) > longestSource) {
    throw new StowageError('reference-malformed', `the image name is longer than ${longestSource} bytes`);
  }
  const [, scheme, location = ''] = schemeExpression.exec(text) ?? [];
  if (scheme !== undefined) {
    if (location.startsWith('//')) return refuse(`write "${scheme}:" without "//" behind it`);
    const { path, selector } = splitLocation(scheme, location);
    if (path === '') return refuse(`the path after "${scheme}:" is missing`);
    if (location.endsWith(':')) return refuse('what should follow the last ":" is missing');
    checkPath(path, refuse);
    checkText(selector, refuse);
    return { kind: 'local', scheme: scheme as LocalSource['scheme'], location, path, selector };
  }
  if (/^(?:\/|\.{0,2}$|\.{1,2}\/|~)/.test(text) && text !== '') {
    if (/^~?[./]*$/.test(text))
      return refuse('it is no image but a directory above others; name what is in it');
    checkPath(text, refuse);
    return { kind: 'local', scheme: 'path', location: text, path: text, selector: '' };
  }
  if (text.startsWith('.')) return refuse(`write ./${text} for a file of that name`);
  if (fileName.test(text))
    return refuse(`write ./${text} for a file of that name, or docker://${text} for an image`);
  return { kind: 'registry', reference: parseReference(text, names) };
}

/**
 * Both tags and paths may hold ":". A tag of a layout holds no "/", so the first ":" with none behind it ends
 * the path; a name in docker's archive may, so there it is the first of all.
 */
function splitLocation(scheme: string, location: string): { path: string; selector: string } {
  const from = scheme === 'docker-archive' ? 0 : location.lastIndexOf('/') + 1;
  const colon = location.indexOf(':', from);
  if (colon < 0) return { path: location, selector: '' };
  return { path: location.slice(0, colon), selector: location.slice(colon + 1) };
}

type Refuse = (reason: string) => never;

function checkPath(path: string, refuse: Refuse): void {
  if (path.startsWith('~') && !path.startsWith('~/')) {
    refuse('only "~/" stands for a home directory, your own; write the path in full');
  }
  checkText(path, refuse);
}

/** What a command line holds that is not UTF-8 arrives here as U+FFFD. */
function checkText(text: string, refuse: Refuse): void {
  if (/\p{Cc}/u.test(text)) refuse('it contains a control character');
  if (text.includes('\uFFFD')) refuse('it is not UTF-8; rename the file, or make a link to it');
}
