/** Compares two file trees by what a program in them can see. */
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from 'node:fs';

export type DifferenceKind =
  'missing' | 'extra' | 'type' | 'mode' | 'size' | 'links' | 'mtime' | 'attributes' | 'target' | 'content';

/** What two trees have otherwise at one path. The texts are for people. */
export interface Difference {
  /** Relative to both roots, the bytes of the name as latin1; empty for the roots themselves. */
  readonly path: string;
  readonly kind: DifferenceKind;
  readonly found: string;
  readonly expected: string;
}

export interface ComparisonOptions {
  /** Kinds to leave out. */
  readonly ignore?: readonly DifferenceKind[];
  /** Whether the time at `path` does not count. */
  readonly ignoreTimeOf?: (path: string) => boolean;
}

interface Item {
  readonly status: Stats;
  /** All paths of the same file, sorted. */
  readonly links: string;
  readonly attributes: string;
}

type Tree = Map<string, Item>;

const typeOf = (status: Stats): string => {
  if (status.isDirectory()) return 'directory';
  if (status.isSymbolicLink()) return 'symbolic link';
  if (status.isFile()) return 'file';
  return `special (${(status.mode >> 12).toString(8)})`;
};

const join = (root: string, path: string): Buffer => Buffer.from(`${root}/${path}`, 'latin1');

/** The user.* attributes of everything below `root`, by path. getfattr escapes names but for their slashes. */
const attributesIn = (root: string): Map<string, string> => {
  const listed = execFileSync(
    'getfattr',
    ['--recursive', '--physical', '--no-dereference', '--dump', '--encoding=hex', '.'],
    { cwd: root, maxBuffer: 64 << 20, encoding: 'latin1', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const unescape = (text: string): string =>
    text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
  const found = new Map<string, string>();
  for (const block of listed.split('\n\n')) {
    const [head = '', ...lines] = block.split('\n').filter(Boolean);
    const path = unescape(head.replace(/^# file: /, '')).replace(/^\.\/?/, '');
    found.set(path, lines.sort().join(' '));
  }
  return found;
};

const readTree = (root: string): Tree => {
  const attributes = attributesIn(root);
  const statuses = new Map<string, Stats>();
  const paths = new Map<number, string[]>();
  const visit = (path: string): void => {
    const status = lstatSync(join(root, path));
    statuses.set(path, status);
    if (!status.isDirectory()) paths.set(status.ino, [...(paths.get(status.ino) ?? []), path]);
    else
      for (const name of readdirSync(join(root, path), { encoding: 'buffer' }))
        visit((path === '' ? '' : `${path}/`) + name.toString('latin1'));
  };
  visit('');
  return new Map(
    [...statuses].map(([path, status]) => [
      path,
      {
        status,
        links: (paths.get(status.ino) ?? [path]).sort().join(', '),
        attributes: attributes.get(path) ?? '',
      },
    ]),
  );
};

const digestOf = (file: Buffer): string => {
  const hash = createHash('sha256');
  const piece = Buffer.alloc(1 << 20);
  const fd = openSync(file, 'r');
  for (let count = 1; count > 0; hash.update(piece.subarray(0, count)))
    count = readSync(fd, piece, 0, piece.length, null);
  closeSync(fd);
  return hash.digest('hex');
};

/** Whole trees at the time of the call. Setuid and setgid bits, owners and inode numbers are not compared. */
export const compareTrees = (
  foundRoot: string,
  expectedRoot: string,
  { ignore = [], ignoreTimeOf = () => false }: ComparisonOptions = {},
): Difference[] => {
  const found = readTree(foundRoot);
  const expected = readTree(expectedRoot);
  const differences: Difference[] = [];
  const compareItems = (path: string, one: Item, other: Item): void => {
    const check = (kind: DifferenceKind, tell: (item: Item) => string): void => {
      if (ignore.includes(kind)) return;
      const [is, should] = [tell(one), tell(other)];
      if (is !== should) differences.push({ path, kind, found: is, expected: should });
    };
    check('type', ({ status }) => typeOf(status));
    if (typeOf(one.status) !== typeOf(other.status)) return;
    const { status } = one;
    if (!status.isSymbolicLink()) check('mode', (item) => (item.status.mode & 0o1777).toString(8));
    if (!status.isDirectory()) check('links', ({ links }) => links);
    if (!status.isDirectory()) check('size', (item) => String(item.status.size));
    // Below a microsecond Node's numbers are not exact.
    if (!ignoreTimeOf(path)) check('mtime', (item) => item.status.mtimeMs.toFixed(3));
    check('attributes', ({ attributes }) => attributes);
    if (ignore.includes('content')) return;
    const compare = (kind: DifferenceKind, read: (file: Buffer) => string): void => {
      const [is, should] = [read(join(foundRoot, path)), read(join(expectedRoot, path))];
      if (is !== should) differences.push({ path, kind, found: is, expected: should });
    };
    if (status.isSymbolicLink()) compare('target', (file) => readlinkSync(file, 'latin1'));
    if (status.isFile() && status.size === other.status.size) compare('content', digestOf);
  };
  for (const [path, item] of found) {
    const other = expected.get(path);
    if (other) compareItems(path, item, other);
    else differences.push({ path, kind: 'extra', found: typeOf(item.status), expected: 'nothing' });
  }
  for (const [path, item] of expected)
    if (!found.has(path))
      differences.push({ path, kind: 'missing', found: 'nothing', expected: typeOf(item.status) });
  return differences;
};

/** One line a difference, for people; at most `most` of them. */
export const describeDifferences = (differences: readonly Difference[], most = 30): string => {
  const lines = differences
    .slice(0, most)
    .map(({ path, kind, found, expected }) => `${JSON.stringify(path)}: ${kind} ${found}, not ${expected}`);
  if (differences.length > most) lines.push(`and ${differences.length - most} more`);
  return lines.join('\n');
};
