import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { makeImage, run, type OciImage } from './oci-image.js';
import { runContained } from './contained.js';

/** Releases of Debian, and the package in which each has Open MPI: 4.1 and 5.0. */
const openMpi = { bookworm: 'libopenmpi3', trixie: 'libopenmpi40' } as const;

export type Suite = keyof typeof openMpi;

const directory = 'test/support/debian-mpi';
const recipe = [
  ...['install.sh', 'hello.c', 'cma.c'].map((name) => `${directory}/${name}`),
  'test/bench/mpi/pingpong.c',
];

// What a cluster job never reads.
const leftOut = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'];

const base = async (suite: Suite, root: string, signal?: AbortSignal): Promise<void> => {
  const exclude = leftOut.map((path) => `--dpkgopt=path-exclude=${path}`);
  const archive = `${root}.tar`;
  const scratch = `${root}.tmp`;
  mkdirSync(scratch);
  const argv = ['mmdebstrap', '--quiet', '--mode=root', '--variant=minbase', ...exclude, suite, archive];
  await runContained(argv, { env: { TMPDIR: scratch }, signal });
  await run('tar', ['--extract', '--exclude=./dev/*', '--file', archive, '--directory', root], signal);
  rmSync(archive);
  rmSync(scratch, { recursive: true });
};

const enterRoot = `
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount --bind /etc/resolv.conf "$1/etc/resolv.conf"
exec chroot "$1" /recipe/install.sh "$2"
`;

const mpi = async (suite: Suite, root: string, signal?: AbortSignal): Promise<void> => {
  mkdirSync(`${root}/recipe`);
  for (const path of recipe) copyFileSync(path, `${root}/recipe/${basename(path)}`);
  await runContained(['sh', '-ec', enterRoot, 'sh', root, openMpi[suite]], { signal });
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
      recipe: [
        suite,
        openMpi[suite],
        ...leftOut,
        enterRoot,
        ...recipe.map((path) => readFileSync(path, 'utf8')),
      ],
      config: ['--config.env=PATH=/usr/local/bin:/usr/bin:/bin', '--config.cmd=/bin/bash'],
      layers: [(root, stop) => base(suite, root, stop), (root, stop) => mpi(suite, root, stop)],
    },
    signal,
  );
