// Every relative link in the documentation leads to a file of the repository.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { report, sources } from './sources.mjs';

const link = /\]\(([^)\s]+)\)|^\[[^\]]+\]:\s*(\S+)/gm;

const deadLinks = (path) =>
  [...readFileSync(path, 'utf8').matchAll(link)]
    .map(([, inline, reference]) => inline ?? reference)
    .filter((target) => !/^[a-z]+:|^#/.test(target))
    .filter((target) => !existsSync(join(dirname(path), target.replace(/#.*/, ''))))
    .map((target) => `${path}: ${target} is not there`);

report(sources('*.md').flatMap(deadLinks));
