import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { debianBase, runInDebian, type Suite } from './debian-base.js';
import { makeImage, type OciImage } from './oci-image.js';

/** The package in which each release has Open MPI: 4.1 and 5.0. */
const openMpi: Readonly<Record<Suite, string>> = { bookworm: 'libopenmpi3', trixie: 'libopenmpi40' };

const directory = 'test/support/debian-mpi';
const recipe = [
  ...['install.sh', 'compile.sh', 'hello.c', 'cma.c'].map((name) => `${directory}/${name}`),
  'test/bench/mpi/pingpong.c',
];

const addMpi = async (suite: Suite, root: string, signal?: AbortSignal): Promise<void> => {
  mkdirSync(`${root}/recipe`);
  for (const path of recipe) copyFileSync(path, `${root}/recipe/${basename(path)}`);
  await runInDebian(root, ['/recipe/install.sh', openMpi[suite]], signal);
  rmSync(`${root}/recipe`, { recursive: true });
};

/**
 * A Debian, by default not the host's release, with Open MPI and MPICH and for each of them three programs:
 * /usr/local/bin/{hello,cma,pingpong}-{openmpi,mpich}. Takes minutes to make.
 */
export const debianImage = (signal?: AbortSignal, suite: Suite = 'trixie'): Promise<OciImage> =>
  makeImage(
    {
      name: `debian-mpi-${suite}`,
      from: debianBase(suite),
      recipe: [openMpi[suite], ...recipe.map((path) => readFileSync(path, 'utf8'))],
      config: [],
      layers: [(root, stop) => addMpi(suite, root, stop)],
    },
    signal,
  );
