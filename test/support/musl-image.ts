import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';

import { busyboxBase } from './busybox-image.js';
import { makeImage, run, type OciImage } from './oci-image.js';

const source = 'test/support/musl-image/as-apk.c';

/** The C library and the loader in one, under the name of the loader. */
const loaderOf = (directory: string): string => {
  const name = readdirSync(directory).find((entry) => /^ld-musl-.*\.so\.1$/.test(entry));
  if (name === undefined) throw new Error(`there is no loader of musl in ${directory}`);
  return `${directory}/${name}`;
};

const fill = async (root: string, signal?: AbortSignal): Promise<void> => {
  const loader = loaderOf('/lib');
  mkdirSync(`${root}/lib`);
  copyFileSync(loader, `${root}${loader}`);
  await run('musl-gcc', ['-D_GNU_SOURCE', '-Wall', '-Werror', '-o', `${root}/bin/as-apk`, source], signal);
};

/** With musl as its only C library, as Alpine, and /bin/as-apk, which needs it. */
export const muslImage = (signal?: AbortSignal): Promise<OciImage> =>
  makeImage(
    {
      name: 'musl',
      from: busyboxBase,
      recipe: [readFileSync(source, 'utf8'), fill.toString()],
      config: [],
      layers: [fill],
    },
    signal,
  );
