// What must not be in a file of the repository, whatever its language.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { report, sources } from './sources.mjs';

const literally = (text) => new RegExp(`${text.replaceAll(/[^\w/]/g, '\\$&')}(?![\\w-])`);

const unwanted = [
  [
    /\b(registry\.npmjs\.(org|com)|registry\.yarnpkg\.com|pypi\.org|[a-z]+\.(debian|ubuntu)\.(org|com)\/(debian|ubuntu))\b/,
    'names a package registry; which one is used is the choice of the machine',
  ],
  [/\b(deb|security|archive|snapshot|ftp)\.(debian|ubuntu)\.(org|com)\b/, 'names a package mirror'],
  [/\b(describe|context|it|specify)\.(only|skip)\(|\bx(describe|context|it)\(/, 'leaves tests out'],
  [/\b(TO)(DO)\b|\b(FIX)(ME)\b/, 'leaves something for later; do it, or open an issue'],
  [/\/Users\/\w|\b[A-Z]:\\Users\\/, "has a path of somebody's own machine"],
  [literally(process.cwd()), 'has the path of this checkout'],
];
// The home directory of root is the same everywhere.
if (homedir() !== '/root') unwanted.push([literally(homedir()), 'has the path of your home directory']);

const findings = sources().flatMap((path) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line, index) =>
      unwanted
        .filter(([pattern]) => pattern.test(line))
        .map(([, why]) => `${path}:${index + 1} ${why}: ${line.trim().slice(0, 160)}`),
    ),
);
if (/"resolved":/.test(readFileSync('package-lock.json', 'utf8'))) {
  findings.push(
    'package-lock.json says where packages came from; run npm install with the .npmrc of this repository',
  );
}
report(findings);
