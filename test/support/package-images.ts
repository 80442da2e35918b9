/** Images whose users install packages in them. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';

import { runContained } from './contained.js';
import { makeImage, type OciImage, run } from './oci-image.js';

const suite = 'bookworm';
const config = ['--config.env=PATH=/usr/sbin:/usr/bin:/sbin:/bin', '--config.cmd=/bin/bash'];

const debian =
  (include: readonly string[]) =>
  async (root: string, signal?: AbortSignal): Promise<void> => {
    const archive = `${root}.tar`;
    const scratch = `${root}.tmp`;
    mkdirSync(scratch);
    const packages = include.map((name) => `--include=${name}`);
    const argv = ['mmdebstrap', '--quiet', '--mode=root', '--variant=minbase', ...packages, suite, archive];
    await runContained(argv, { env: { TMPDIR: scratch }, signal });
    await run('tar', ['--extract', '--exclude=./dev/*', '--file', archive, '--directory', root], signal);
    rmSync(archive);
    rmSync(scratch, { recursive: true });
  };

/** Debian 12 as docker's debian:12 is: with apt and no package lists. */
export const debian12Image = (signal?: AbortSignal): Promise<OciImage> =>
  makeImage({ name: 'debian-12', recipe: [suite], config, layers: [debian([])] }, signal);

const recipe = 'test/support/rpm-image';
const rpmTools = ['rpm', 'dnf'];

const addPackage = async (root: string, signal?: AbortSignal): Promise<void> => {
  cpSync(recipe, `${root}/recipe`, { recursive: true });
  await runContained(['chroot', root, '/recipe/install.sh'], { signal });
  rmSync(`${root}/recipe`, { recursive: true });
};

/** rpm and dnf, and a package for them: /srv/owned.rpm. */
export const rpmImage = (signal?: AbortSignal): Promise<OciImage> =>
  makeImage(
    {
      name: 'rpm-based',
      recipe: [
        suite,
        ...rpmTools,
        ...readdirSync(recipe)
          .sort()
          .map((name) => readFileSync(`${recipe}/${name}`, 'utf8')),
      ],
      config,
      layers: [debian(rpmTools), addPackage],
    },
    signal,
  );
