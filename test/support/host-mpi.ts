/** An image and a host of which each has a library of the same name, and a program that tells which one it got. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { makeImage, type OciImage } from './oci-image.js';

const library = (whose: string): string => `const char *mpi_name(void) { return "${whose}"; }\n`;
const program = [
  '#include <stdio.h>',
  'const char *mpi_name(void);',
  'int main(void) { return puts(mpi_name()) < 0; }',
  '',
].join('\n');
export const soname = 'libmpi.so.12';
const busybox = '/bin/busybox';

/** A library that calls itself `whose`, at `path`. `further` goes to the linker. */
export const buildMpi = (path: string, whose: string, further: readonly string[] = []): void => {
  mkdirSync(dirname(path), { recursive: true });
  compile(library(whose), ['-shared', '-fPIC', `-Wl,-soname,${soname}`, ...further, '-o', path]);
};

const compile = (code: string, args: readonly string[]): void => {
  const scratch = mkdtempSync(join(tmpdir(), 'stowage-code-'));
  try {
    writeFileSync(`${scratch}/code.c`, code);
    execFileSync('cc', [`${scratch}/code.c`, ...args]);
  } finally {
    rmSync(scratch, { recursive: true });
  }
};

/** Loader and C library of this machine, which the image has, too. */
const needed = (path: string): string[] => {
  const printed = execFileSync('ldd', [path], { encoding: 'utf8' });
  return [...printed.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map(([, file]) => file ?? '');
};

const fill = async (root: string): Promise<void> => {
  for (const directory of ['bin', 'etc', 'usr/lib', 'tmp'])
    mkdirSync(`${root}/${directory}`, { recursive: true });
  copyFileSync(busybox, `${root}/bin/sh`);
  copyFileSync(busybox, `${root}/bin/cat`);
  buildMpi(`${root}/usr/lib/${soname}`, 'the image');
  const which = `${root}/bin/which-mpi`;
  compile(program, [`${root}/usr/lib/${soname}`, '-o', which]);
  for (const file of needed('/bin/true')) {
    mkdirSync(`${root}${dirname(file)}`, { recursive: true });
    copyFileSync(file, `${root}${file}`);
  }
};

/** With /bin/which-mpi, libmpi.so.12, glibc of this machine and no ldconfig. */
export const mpiImage = (): Promise<OciImage> =>
  makeImage({
    name: 'which-mpi',
    recipe: [
      program,
      library('the image'),
      fill.toString(),
      ...needed('/bin/true').map((file) => readFileSync(file, 'base64')),
    ],
    config: ['--config.env=PATH=/bin'],
    layers: [fill],
  });
