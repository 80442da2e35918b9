import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { makeImage, run, type ImageRecipe, type OciImage } from './oci-image.js';

const busybox = '/bin/busybox';
const release = 'NAME=busybox\nID=busybox\nPRETTY_NAME="Stowage test image"\n';

const fill = async (root: string, signal?: AbortSignal): Promise<void> => {
  for (const directory of ['bin', 'etc', 'home', 'root', 'var/lib'])
    mkdirSync(`${root}/${directory}`, { recursive: true });
  mkdirSync(`${root}/tmp`);
  chmodSync(`${root}/tmp`, 0o1777);
  copyFileSync(busybox, `${root}/bin/busybox`);
  for (const applet of (await run(busybox, ['--list'], signal)).trim().split('\n')) {
    if (applet !== 'busybox') symlinkSync('busybox', `${root}/bin/${applet}`);
  }
  writeFileSync(`${root}/etc/os-release`, release);
  writeFileSync(`${root}/etc/passwd`, 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(`${root}/etc/group`, 'root:x:0:\n');
  writeFileSync(`${root}/etc/motd`, 'from the lower layer\n');
  writeFileSync(`${root}/etc/withdrawn`, 'the upper layer removes this\n');
};

/** The second layer changes one file and removes another. */
const change = async (root: string): Promise<void> => {
  writeFileSync(`${root}/etc/motd`, 'from the upper layer\n');
  rmSync(`${root}/etc/withdrawn`);
};

const recipe = [readFileSync(busybox).toString('base64'), release, fill.toString(), change.toString()];
const config = [
  '--config.env=PATH=/bin',
  '--config.env=FROM_IMAGE=yes',
  '--config.workingdir=/var/lib',
  '--config.cmd=/bin/sh',
];

/** Busybox and nothing else; made in seconds. */
export const busyboxBase: ImageRecipe = { name: 'busybox', recipe, config, layers: [fill, change] };

export const busyboxImage = (signal?: AbortSignal): Promise<OciImage> => makeImage(busyboxBase, signal);

/** Another such image, of which no blob is the same, with this text in /etc/motd. */
export const busyboxImageSaying = (
  name: string,
  motd: string | Buffer,
  signal?: AbortSignal,
): Promise<OciImage> => {
  const say = async (root: string): Promise<void> => writeFileSync(`${root}/etc/motd`, motd);
  const own = createHash('sha256').update(motd).digest('hex');
  return makeImage({ name, recipe: [...recipe, own], config, layers: [fill, say] }, signal);
};

/**
 * busyboxImage() with one layer more, and more arguments of `umoci config`. `layer` must get all that it needs from its
 * own text, which names the result.
 */
export const busyboxImageWith = (
  name: string,
  layer: (root: string) => Promise<void>,
  furtherConfig: readonly string[] = [],
): Promise<OciImage> =>
  makeImage({
    name,
    from: busyboxBase,
    recipe: [layer.toString()],
    config: furtherConfig,
    layers: [layer],
  });

const entry = `#!/bin/sh
echo banner
case $ENTRY in
fails) exit 9 ;;
hangs) sleep 600 ;;
esac
echo >>/srv/runs
export FROM_ENTRYPOINT="set by it" ENTRYPOINT_UID=$(id -u)
cd /srv
exec "$@"
`;

const addEntry = async (root: string): Promise<void> => {
  mkdirSync(`${root}/srv`);
  writeFileSync(`${root}/entry`, entry, { mode: 0o755 });
};

/** Busybox with an entrypoint that sets variables and goes to /srv, or fails or hangs if $ENTRY says so. */
export const imageWithEntrypoint = (signal?: AbortSignal): Promise<OciImage> =>
  makeImage(
    {
      name: 'entrypoint',
      recipe: [...recipe, entry, addEntry.toString()],
      config: [...config, '--config.entrypoint=/entry'],
      layers: [fill, addEntry],
    },
    signal,
  );
