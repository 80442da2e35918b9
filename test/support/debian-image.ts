import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { makeImage, run, type OciImage } from './oci-image.js';
import { runContained } from './contained.js';

const suite = 'trixie';
const recipe = 'test/support/debian-mpi';

// What a cluster job never reads.
const leftOut = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'];

const base = async (root: string, signal?: AbortSignal): Promise<void> => {
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
exec chroot "$1" /recipe/install.sh
`;

const mpi = async (root: string, signal?: AbortSignal): Promise<void> => {
  cpSync(recipe, `${root}/recipe`, { recursive: true });
  await runContained(['sh', '-ec', enterRoot, 'sh', root], { signal });
  rmSync(`${root}/recipe`, { recursive: true });
};

/**
 * A Debian that is not the host's, with Open MPI and MPICH and for each of them two programs:
 * /usr/local/bin/{hello,cma}-{openmpi,mpich}. Takes minutes to make.
 */
export const debianImage = (signal?: AbortSignal): Promise<OciImage> =>
  makeImage(
    {
      name: 'debian-mpi',
      recipe: [
        suite,
        ...leftOut,
        enterRoot,
        ...readdirSync(recipe)
          .sort()
          .map((name) => readFileSync(`${recipe}/${name}`, 'utf8')),
      ],
      config: ['--config.env=PATH=/usr/local/bin:/usr/bin:/bin', '--config.cmd=/bin/bash'],
      layers: [base, mpi],
    },
    signal,
  );
