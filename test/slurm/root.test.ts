import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';

import { account } from '../cluster/users.js';
import { muslImage } from '../support/musl-image.js';
import { debian12Image, packageManagersImage } from '../support/package-images.js';
import { clusterSuite, inNewDirectory, user } from './cluster-suite.js';

clusterSuite('Root in an image', {}, (site) => {
  const srun = 'srun --image-root --image=$IMAGE';

  it('is 0 for every rank, in a home of its own', async () => {
    const printed = await site().output(
      `${srun} -N2 -n4 sh -c 'echo $(id -u) $(id -g) $(id -un) $HOME $USER'`,
    );
    assert.deepEqual(printed.trim().split('\n'), Array(4).fill('0 0 root /root root'));
  });

  it('is not what a step is that did not ask for it', async () => {
    const { uid } = account(user);
    const printed = await site().output(
      `srun --image=$IMAGE sh -c 'id -u; touch /x && chown 12:34 /x 2>&1'|| true`,
    );
    assert.match(printed, new RegExp(`^${uid}\nchown: /x: (Operation not permitted|Invalid argument)$`, 'm'));
  });

  it('is nobody but the user for the files of the node', async () => {
    const directory = mkdtempSync(`${account(user).home}/stowage-test-`);
    try {
      chmodSync(directory, 0o1777);
      writeFileSync(`${directory}/secret`, 'of root\n', { mode: 0o600 });
      const { code, stdout } = await site().run(
        `${srun} sh -c 'cd ${directory}; echo >mine; chown 0:0 secret && echo seems; cat secret || rm secret || chmod 666 secret'`,
      );
      assert.notEqual(code, 0);
      assert.equal(stdout, 'seems\n');
      assert.deepEqual(
        [statSync(`${directory}/secret`).uid, statSync(`${directory}/secret`).mode & 0o777],
        [0, 0o600],
      );
      assert.equal(statSync(`${directory}/mine`).uid, account(user).uid);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('unpacks what belongs to others, and devices, as far as it can tell (busybox)', async () => {
    const printed = await site().output(
      [
        inNewDirectory,
        'mkdir files && echo content >files/of-others && mkfifo files/fifo',
        'tar --create --file others.tar --owner=12 --group=34 files',
        `${srun} sh -ec 'tar -C /root -xf others.tar; cd /root/files; cat of-others; test -p fifo; chown 5:6 fifo; ` +
          `mknod null c 1 3; test ! -e null; su root -c "echo still \\$(id -u)"'`,
      ].join('\n'),
    );
    assert.equal(printed, 'content\nstill 0\n');
  });

  it('installs a Debian package with the dpkg of busybox', async () => {
    const directory = mkdtempSync(`${account(user).home}/stowage-test-`);
    try {
      chmodSync(directory, 0o755);
      mkdirSync(`${directory}/p/DEBIAN`, { recursive: true });
      mkdirSync(`${directory}/p/opt/p`, { recursive: true });
      writeFileSync(
        `${directory}/p/DEBIAN/control`,
        'Package: p\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n',
      );
      writeFileSync(
        `${directory}/p/DEBIAN/postinst`,
        '#!/bin/sh\nchown 33:33 /opt/p/file && echo configured\n',
        { mode: 0o755 },
      );
      writeFileSync(`${directory}/p/opt/p/file`, 'packaged\n');
      const built = spawnSync('dpkg-deb', ['--build', `${directory}/p`], { encoding: 'utf8' });
      assert.equal(built.status, 0, built.stderr);
      const printed = await site().output(
        `${srun} sh -ec 'mkdir -p /var/lib/dpkg/info; touch /var/lib/dpkg/status; dpkg -i ${directory}/p.deb; cat /opt/p/file'`,
      );
      assert.match(printed, /^configured$/m);
      assert.match(printed, /^packaged$/m);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  describe('with package managers', function () {
    this.timeout(900_000);

    it('apt-get installs from the archive of Debian', async () => {
      const env = { IMAGE: await site().push(await debian12Image()) };
      const printed = await site().output(
        `${srun} sh -c 'apt-get update && apt-get install -y hello && hello'`,
        { env, timeoutMs: 300_000 },
      );
      assert.match(printed, /^Hello, world!$/m);
      // apt says so if it could not become its own user.
      assert.doesNotMatch(printed, /_apt|sandbox/);
    });

    it('rpm and dnf install a package with files of several users', async () => {
      const env = { IMAGE: await site().push(await packageManagersImage()) };
      const printed = await site().output(
        `${srun} sh -ec '
          rpm -i --force-debian /srv/owned.rpm
          cat /opt/owned/of-daemon
          stat -c "%a %u" /opt/owned/set-id
          rpm -e --force-debian owned
          test ! -e /opt/owned
          dnf --quiet --disablerepo=* install -y /srv/owned.rpm
          cat /opt/owned/of-mail
          dnf --quiet --disablerepo=* remove -y owned
          test ! -e /opt/owned'`,
        { env, timeoutMs: 300_000 },
      );
      assert.match(printed, /^of-daemon\n4755 0$/m);
      assert.match(printed, /^of-mail$/m);
    });

    it('pip builds and installs a package for all', async () => {
      const env = { IMAGE: await site().push(await packageManagersImage()) };
      const install = 'pip install --break-system-packages --no-index --no-build-isolation';
      const printed = await site().output(
        `${srun} sh -ec '${install} /srv/greeting-1.tar.gz; cd /; greeting; pip uninstall --break-system-packages --yes greeting'`,
        { env, timeoutMs: 300_000 },
      );
      assert.match(printed, /^greetings from \/usr\/local\/lib\/python3\S*\/greeting\.py$/m);
      assert.match(printed, /^ *Successfully uninstalled greeting-1$/m);
      assert.doesNotMatch(printed, /not writeable|user installation/);
    });

    it('programs of musl do what apk does when it installs', async () => {
      const env = { IMAGE: await site().push(await muslImage()) };
      const inside = 'mkdir /extracted && cd /extracted && as-apk';
      const printed = await site().output(
        `${srun} sh -ec '
          /lib/ld-musl-*.so.1 --list /bin/as-apk >/dev/null
          ${inside}
          stat -c "%n %A %u:%g" fifo link program spool /etc/of-the-script
          test ! -e null'`,
        { env },
      );
      assert.deepEqual(printed.trimEnd().split('\n'), [
        'script of 0',
        'fifo prw------- 0:0',
        'link lrwxrwxrwx 0:0',
        'program -rwsr-xr-x 0:0',
        'spool drwxrwsr-x 0:0',
        '/etc/of-the-script -rw-r--r-- 0:0',
      ]);
      const { code, stderr } = await site().run(`srun --image=$IMAGE sh -c '${inside}'`, { env });
      assert.notEqual(code, 0);
      assert.match(stderr, /^fchown: /m);
    });
  });
});
