/** One root file system as squashfs and as SIF, with what enroot and Apptainer put into theirs. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

import { account } from '../cluster/users.js';
import { busyboxImage } from '../support/busybox-image.js';
import { untilRemembered } from '../support/settled.js';
import { sif } from '../support/sif-writer.js';
import { makeSquashfs } from '../support/squashfs-image.js';

/** What /large holds, far more than an image of it takes. */
export const large = Buffer.from('all work and no play\n'.repeat(2_000_000));

/** Makes one of each, with all in it root's, in a new directory in the user's home; returns that directory. */
export const makeSquashfsImages = async (user: string): Promise<string> => {
  const { uid, gid, home } = account(user);
  const directory = fs.mkdtempSync(`${home}/squashfs-`);
  const bundle = `${directory}/bundle`;
  execFileSync('umoci', ['unpack', '--image', `${(await busyboxImage()).directory}:image`, bundle]);
  const root = `${bundle}/rootfs`;
  fs.writeFileSync(`${root}/large`, large);
  const squashfs = (name: string): Buffer => makeSquashfs(root, `${directory}/${name}`, ['-all-root']);

  const scripts = `${root}/.singularity.d/env`;
  fs.mkdirSync(scripts, { recursive: true });
  fs.writeFileSync(`${scripts}/10-docker.sh`, 'export FIRST="${FIRST:-of the image}"\n');
  fs.writeFileSync(`${scripts}/90-environment.sh`, 'export SECOND="$FIRST, of 90"\n');
  fs.writeFileSync(`${directory}/x.sif`, sif([{ content: squashfs('partition') }]));
  fs.rmSync(`${root}/.singularity.d`, { recursive: true });

  fs.writeFileSync(`${root}/etc/rc`, 'exec "$@"\n', { mode: 0o755 });
  fs.writeFileSync(`${root}/etc/environment`, 'PATH=/bin:/opt\nENROOT=as it is: $HOME "x"\n');
  fs.writeFileSync(`${directory}/x.sqsh`, squashfs('partition'));
  fs.rmSync(bundle, { recursive: true });
  execFileSync('chown', ['-R', `${uid}:${gid}`, directory]);
  await untilRemembered();
  return directory;
};
