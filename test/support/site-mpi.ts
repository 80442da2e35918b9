import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { run, type OciImage } from './oci-image.js';

/** What belongs to the C library, or to the compiler of whoever built the image: a site does not swap it. */
const ofTheImage = /^(?:ld-linux-x86-64|lib(?:c|m|dl|rt|pthread|resolv|util|anl|mvec|stdc\+\+|gcc_s))\.so\b/;

const libraries = 'usr/lib/x86_64-linux-gnu';

/** Paths of the libraries that the loader of that root finds for `library`, itself included. */
const closure = async (root: string, library: string): Promise<string[]> => {
  const directory = `${root}/${libraries}`;
  const listed = await run(`${root}/lib64/ld-linux-x86-64.so.2`, [
    ...['--library-path', directory, '--list'],
    `${directory}/${library}`,
  ]);
  const found = [...listed.matchAll(/^\s+(\S+) => (\S+) \(0x/gm)].map(([, , path = '']) => path);
  const foreign = found.filter((path) => !path.startsWith(`${root}/`));
  if (found.length === 0 || foreign.length > 0)
    throw new Error(`${library} of ${root} was not found with all it needs:\n${listed}`);
  return [`${directory}/${library}`, ...found];
};

/**
 * Lays an MPI out as a site has it on its nodes: `library` of a Debian image and what it needs, by their sonames, and UCX's plugins, in
 * `directory`, which is made.
 */
export const laySiteMpi = async (
  { directory: layout }: OciImage,
  library: string,
  directory: string,
): Promise<void> => {
  const root = `${directory}.root`;
  mkdirSync(directory, { recursive: true });
  try {
    await run('umoci', ['raw', 'unpack', '--image', `${layout}:image`, root]);
    for (const path of await closure(root, library)) {
      const name = basename(path);
      if (ofTheImage.test(name)) continue;
      copyFileSync(path, `${directory}/${name}`);
      chmodSync(`${directory}/${name}`, 0o644);
    }
    // Found beside libucs.so.0.
    if (existsSync(`${directory}/libucs.so.0`))
      cpSync(`${root}/${libraries}/ucx`, `${directory}/ucx`, { recursive: true, dereference: true });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
};
