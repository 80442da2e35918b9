// Each dependency earns its place in one line of docs/dependencies.md, and nothing else stands there.
import { readFileSync } from 'node:fs';
import { packages } from '../packages.mjs';
import { report } from './sources.mjs';

const page = 'docs/dependencies.md';
const { dependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const used = [dependencies, devDependencies, packages].flatMap(Object.keys);
const explained = [...readFileSync(page, 'utf8').matchAll(/^\|\s*`([^`]+)`/gm)].map(([, name]) => name);

report([
  ...used
    .filter((name) => !explained.includes(name))
    .map((name) => `${page} does not say what ${name} is for`),
  ...explained
    .filter((name) => !used.includes(name))
    .map((name) => `${page} explains ${name}, which is not used`),
]);
