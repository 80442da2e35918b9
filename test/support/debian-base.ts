/** The smallest Debian in which apt-get works; other images are made from it. */
import { readdirSync, rmSync } from 'node:fs';

import { runContained } from './contained.js';
import type { ImageRecipe } from './oci-image.js';

export type Suite = 'bookworm' | 'trixie';

// What a cluster job never reads.
const leftOut = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'];

// As docker's Debian images, the image keeps both for those who install packages in it.
const dpkgOptions = ['force-unsafe-io', ...leftOut.map((path) => `path-exclude=${path}`)];

/** Debian with apt, without package lists, documentation and translations, as docker's debian:12-slim is. */
export const debianBase = (suite: Suite): ImageRecipe => {
  const argv = ['mmdebstrap', '--quiet', '--mode=root', '--variant=minbase'];
  argv.push(...dpkgOptions.map((option) => `--dpkgopt=${option}`), suite);
  return {
    name: `debian-${suite}`,
    recipe: argv,
    config: [
      '--config.env=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      '--config.cmd=/bin/bash',
    ],
    layers: [
      async (root, signal) => {
        await runContained([...argv, root], { signal });
        for (const name of readdirSync(`${root}/dev`)) rmSync(`${root}/dev/${name}`, { recursive: true });
      },
    ],
  };
};

const enter = `
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
exec chroot "$root" "$@"
`;

/** Runs a command in the root of a Debian as its root, with the network. */
export const runInDebian = (root: string, argv: readonly string[], signal?: AbortSignal): Promise<void> =>
  runContained(['sh', '-ec', enter, 'sh', root, ...argv], { signal });
