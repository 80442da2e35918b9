/** One small image in every form that users keep images in, and some that nobody should. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { account } from '../cluster/users.js';
import { busyboxImage } from '../support/busybox-image.js';
import { untilRemembered } from '../support/settled.js';
import { sif } from '../support/sif-writer.js';
import { archive, file } from '../support/tar-writer.js';

const run = (program: string, ...args: string[]): void => {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
};
const shell = (cwd: string, script: string): void => {
  execFileSync('bash', ['-ec', `set -o pipefail; ${script}`], { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
};

/** Makes all of them in a new directory in the user's home, which every node sees, and returns that directory. */
export const makeSources = async (user: string): Promise<string> => {
  const { uid, gid, home } = account(user);
  const directory = fs.mkdtempSync(`${home}/sources-`);
  const at = (name: string): string => path.join(directory, name);
  const image = `oci:${(await busyboxImage()).directory}:image`;
  const copy = ['--insecure-policy', 'copy', '--quiet', image];
  run('skopeo', ...copy, `oci:${at('layout')}:latest`);
  run('skopeo', ...copy, `oci-archive:${at('oci.tar')}:latest`);
  run('skopeo', ...copy, `docker-archive:${at('docker.tar')}:stowage/app:1.2`);
  run('umoci', 'unpack', '--image', `${at('layout')}:latest`, at('bundle'));
  fs.renameSync(at('bundle/rootfs'), at('root'));
  fs.rmSync(at('bundle'), { recursive: true });
  shell(directory, 'tar --numeric-owner -C root -cf root.tar .');
  for (const [suffix, program] of Object.entries({ gz: 'gzip', bz2: 'bzip2', xz: 'xz -1', zst: 'zstd -q' }))
    shell(directory, `${program} -c <root.tar >root.tar.${suffix}`);
  shell(directory, 'cd root && find . | cpio --quiet -o -H newc >../root.cpio');
  shell(directory, 'gzip -c <root.cpio >root.cpio.gz');
  run('mksquashfs', at('root'), at('root.sqsh'), '-noappend', '-quiet', '-no-progress');
  fs.writeFileSync(at('root.sif'), sif([{ content: fs.readFileSync(at('root.sqsh')) }]));
  makeHostile(directory);
  run('chown', '-R', `${uid}:${gid}`, directory);
  fs.chownSync(at('others.tar'), 0, 0);
  await untilRemembered();
  return directory;
};

const makeHostile = (directory: string): void => {
  const at = (name: string): string => path.join(directory, name);
  fs.writeFileSync(at('climbing.tar'), archive(file('../../escaped', 'x')));
  fs.writeFileSync(at('page.tar'), '<html>not found</html>');
  fs.writeFileSync(at('empty.tar'), '');
  fs.copyFileSync(at('root.tar'), at('others.tar'));
  fs.chmodSync(at('others.tar'), 0o600);
  run('mkfifo', at('fifo.tar'));
  const squashfs = fs.readFileSync(at('root.sqsh'));
  fs.writeFileSync(at('short.sqsh'), squashfs.subarray(0, squashfs.length >> 1));
  fs.writeFileSync(at('ext3.sif'), sif([{ content: Buffer.alloc(4096), fileSystem: 2 }]));
  fs.writeFileSync(
    at('foreign.sif'),
    sif([{ content: squashfs, architecture: process.arch === 'arm64' ? '02' : '04' }]),
  );
  for (const [name, replace] of [
    ['linked', (blob: string) => fs.symlinkSync('/etc/passwd', blob)],
    ['piped', (blob: string) => run('mkfifo', blob)],
  ] as const) {
    fs.cpSync(at('layout'), at(name), { recursive: true });
    const blob = largestBlob(at(name));
    fs.rmSync(blob);
    replace(blob);
  }
  for (const [name, manifest] of [
    ['null', null],
    ['climbing', [{ Config: 'c.json', RepoTags: [], Layers: ['../escaped'] }]],
    ['two', ['a', 'b'].map((tag) => ({ Config: `${tag}.json`, RepoTags: [`app:${tag}`], Layers: [] }))],
  ] as const)
    fs.writeFileSync(
      at(`docker-${name}.tar`),
      archive(
        file('manifest.json', JSON.stringify(manifest)),
        file('c.json', JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { diff_ids: [] } })),
      ),
    );
};

/** A layer, as manifest and configuration are smaller. */
const largestBlob = (layout: string): string =>
  fs
    .readdirSync(`${layout}/blobs/sha256`)
    .map((name) => `${layout}/blobs/sha256/${name}`)
    .reduce((one, other) => (fs.statSync(one).size > fs.statSync(other).size ? one : other));
