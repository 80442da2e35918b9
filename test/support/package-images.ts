/** Images whose users install packages in them. */
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';

import { debianBase, runInDebian } from './debian-base.js';
import { makeImage, type OciImage } from './oci-image.js';

const base = debianBase('bookworm');

/** Debian 12 as docker's debian:12-slim is: with apt and no package lists. */
export const debian12Image = (signal?: AbortSignal): Promise<OciImage> => makeImage(base, signal);

const recipe = 'test/support/package-managers';

const addPackages = async (root: string, signal?: AbortSignal): Promise<void> => {
  cpSync(recipe, `${root}/recipe`, { recursive: true });
  await runInDebian(root, ['/recipe/install.sh'], signal);
  rmSync(`${root}/recipe`, { recursive: true });
};

/**
 * A Debian 12 with rpm and dnf, and a package for them: /srv/owned.rpm; and with pip, and the source of a package for
 * it: /srv/greeting-1.tar.gz, which brings the command `greeting`.
 */
export const packageManagersImage = (signal?: AbortSignal): Promise<OciImage> =>
  makeImage(
    {
      name: 'package-managers',
      from: base,
      recipe: readdirSync(recipe, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => `${entry.parentPath}/${entry.name}`)
        .sort()
        .map((path) => readFileSync(path, 'utf8')),
      config: [],
      layers: [addPackages],
    },
    signal,
  );
