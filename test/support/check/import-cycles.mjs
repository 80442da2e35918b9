// No file of TypeScript imports itself by way of others, types included.
import { readFileSync } from 'node:fs';
import { join, dirname } from 'node:path';
import ts from 'typescript';
import { report, sources } from './sources.mjs';

const importsOf = (path) =>
  ts
    .preProcessFile(readFileSync(path, 'utf8'))
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => name.startsWith('.'))
    .map((name) => join(dirname(path), name).replace(/\.js$/, '.ts'));

const imports = new Map(sources('*.ts').map((path) => [path, importsOf(path)]));

const cycles = [];
const done = new Set();
const visit = (path, trail) => {
  const start = trail.indexOf(path);
  if (start >= 0) cycles.push([...trail.slice(start), path].join(' -> '));
  if (start >= 0 || done.has(path)) return;
  for (const imported of imports.get(path) ?? []) visit(imported, [...trail, path]);
  done.add(path);
};
for (const path of imports.keys()) visit(path, []);
report(cycles);
