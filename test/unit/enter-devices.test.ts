import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

import type { PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import {
  eachInEnterSandbox,
  gid,
  isRunning,
  uid,
  type Container,
  type Outcome,
} from '../support/enter-sandbox.js';
import { listenGrpc, welcome } from '../support/fake-daemon.js';
import { buildSharedObject, type SharedObject } from '../support/shared-object.js';

type Plan = NonNullable<PrepareResponseMessage['plan']>;

const device = 'site.example/mpi=cray';
const libraries = '/usr/lib/x86_64-linux-gnu';
const loader = '/lib64/ld-linux-x86-64.so.2';

describe('stowage-enter, putting devices into a container', () => {
  const sandbox = eachInEnterSandbox();
  /** A host directory of the user. */
  let host: string;

  beforeEach(() => {
    host = `${sandbox().directory}/host`;
    fs.mkdirSync(host);
    sandbox().giveToUser(host);
  });

  const serve = async (plan: Plan, build?: (root: string) => void): Promise<void> => {
    const imageDigest = sandbox().makeTree(build);
    await sandbox().serve(
      listenGrpc(sandbox().socket, (call) => {
        call.write(welcome);
        call.write({ plan: { imageDigest, workingDirectory: '/', ...plan } });
        call.end();
      }),
    );
  };
  const succeed = async (plan: Plan, build?: (root: string) => void): Promise<Container> => {
    await serve(plan, build);
    return sandbox().succeed();
  };
  const enter = async (plan: Plan, build?: (root: string) => void): Promise<Outcome> => {
    await serve(plan, build);
    return sandbox().enter();
  };
  const fail = async (
    sentence: string | RegExp,
    plan: Plan,
    build?: (root: string) => void,
  ): Promise<void> => {
    await serve(plan, build);
    // Mount points stay for the next step.
    fs.mkdirSync(`${sandbox().store}/${sandbox().kept()[0] ?? ''}.mount`);
    await sandbox().fail(sentence);
  };
  const script = (name: string, ...lines: string[]): string => {
    const path = `${host}/${name}`;
    fs.writeFileSync(path, ['#!/bin/sh -e', ...lines, ''].join('\n'), { mode: 0o755 });
    return path;
  };
  const hook = (path: string, ...args: string[]) => ({
    path,
    arguments: [path, ...args],
    environment: [],
    device,
  });
  const library = (name: string, what: SharedObject): string => {
    buildSharedObject(`${host}/${name}`, what);
    return `${host}/${name}`;
  };
  const bind = (source: string, target: string, origin = device) => ({ source, target, origin });

  describe('by hooks', () => {
    it('runs them as the user, with the root at the place that their state leads to', async () => {
      const path = script(
        'hook',
        'cat >"$0.state"',
        'env >"$0.environment"',
        'pwd >"$0.directory"',
        'id -u >"$0.id"',
        'root=$(sed -n \'s/.*"path": *"\\([^"]*\\)".*/\\1/p\' config.json)',
        'echo "$@" >"$root/etc/made"',
      );
      const { root } = await succeed(
        {
          hooks: [{ ...hook(path, 'one', 'two words'), environment: ['A=1', 'B=x y'] }],
        },
        (tree) => fs.mkdirSync(`${tree}/etc`),
      );
      assert.equal(fs.readFileSync(`${root}/etc/made`, 'utf8'), 'one two words\n');
      const state = JSON.parse(fs.readFileSync(`${path}.state`, 'utf8')) as Record<string, unknown>;
      const { ociVersion, id, status, pid, bundle } = state;
      assert.deepEqual(
        [ociVersion, status, typeof id, typeof pid],
        ['1.0.2', 'creating', 'string', 'number'],
      );
      assert.equal(bundle, fs.readFileSync(`${path}.directory`, 'utf8').trim());
      const environment = fs.readFileSync(`${path}.environment`, 'utf8').trim().split('\n');
      assert.deepEqual(environment.filter((line) => !/^(PWD|SHLVL|_|OLDPWD)=/.test(line)).sort(), [
        'A=1',
        'B=x y',
      ]);
      assert.equal(Number(fs.readFileSync(`${path}.id`, 'utf8')), uid);
    });

    it('runs them in their order, after mounts and links, in the namespaces of the step', async () => {
      fs.writeFileSync(`${host}/data`, 'mounted');
      const say = (word: string): string =>
        script(
          word,
          'root=$(sed -n \'s/.*"path": *"\\([^"]*\\)".*/\\1/p\' config.json)',
          `echo ${word} $(cat $root/data) $(readlink $root/link) >>"$root/order"`,
        );
      const { root, holder } = await succeed({
        mounts: [bind(`${host}/data`, '/data')],
        symlinks: [{ target: 'x', path: '/link' }],
        hooks: [
          hook(say('first')),
          hook(say('second')),
          hook(script('where', 'readlink /proc/self/ns/mnt >"$0.ns"')),
        ],
      });
      assert.equal(fs.readFileSync(`${root}/order`, 'utf8'), 'first mounted x\nsecond mounted x\n');
      assert.equal(
        fs.readFileSync(`${host}/where.ns`, 'utf8').trim(),
        fs.readlinkSync(`/proc/${holder}/ns/mnt`),
      );
    });

    it('shows the user what they write, and leaves nothing of them in the container', async () => {
      const { stderr, status } = await enter({ hooks: [hook(script('hook', 'echo out; echo err >&2'))] });
      assert.deepEqual([status, stderr], [0, 'out\nerr\n']);
    });

    it('refuses the step if one fails, naming device and hook', async () => {
      const path = script('hook', 'exit 3');
      await fail(
        `image registry.example/team/app:1: device ${device}: hook ${path}: it failed (exit status 3)`,
        {
          hooks: [hook(path)],
        },
      );
    });

    it('refuses the step if one does not exist', () =>
      fail(
        /: device site\.example\/mpi=cray: hook \/nowhere\/x: it cannot be executed on this node: No such file/,
        {
          hooks: [hook('/nowhere/x')],
        },
      ));

    it('refuses the step if one takes longer than it may, and leaves no process', async () => {
      const path = script('hook', 'sleep 100 & echo $! >"$0.child"; wait');
      await fail(/: hook .*: it took longer than 1 seconds$/, {
        hooks: [{ ...hook(path), timeoutSeconds: 1 }],
      });
      assert.ok(!isRunning(Number(fs.readFileSync(`${path}.child`, 'utf8'))));
    });
  });

  describe('by symbolic links', () => {
    it('makes them where the image has a file, or nothing', async () => {
      const { root } = await succeed(
        {
          symlinks: [
            { target: 'libcuda.so.1', path: `${libraries}/libcuda.so` },
            { target: '/opt/x', path: '/new/directory/y' },
          ],
        },
        (tree) => {
          fs.mkdirSync(`${tree}${libraries}`, { recursive: true });
          fs.writeFileSync(`${tree}${libraries}/libcuda.so`, 'a stub');
        },
      );
      assert.equal(fs.readlinkSync(`${root}${libraries}/libcuda.so`), 'libcuda.so.1');
      assert.equal(fs.readlinkSync(`${root}/new/directory/y`), '/opt/x');
    });

    it('makes none outside, whatever links the image has', async () => {
      fs.mkdirSync(`${host}/victim`);
      sandbox().giveToUser(host);
      const { root } = await succeed({ symlinks: [{ target: 'x', path: '/usr/lib/x' }] }, (tree) => {
        fs.mkdirSync(`${tree}/usr`);
        fs.mkdirSync(`${tree}${host}/victim`, { recursive: true });
        fs.symlinkSync(`../../../../../../../../../..${host}/victim`, `${tree}/usr/lib`);
      });
      assert.deepEqual(fs.readdirSync(`${host}/victim`), []);
      assert.equal(fs.readlinkSync(`${root}${host}/victim/x`), 'x');
    });
  });

  describe('by libraries', () => {
    const glibcImage =
      (version = 'GLIBC_2.36') =>
      (tree: string): void => {
        buildSharedObject(`${tree}${libraries}/libc.so.6`, {
          soname: 'libc.so.6',
          defines: ['GLIBC_2.2.5', version],
        });
        fs.mkdirSync(`${tree}/lib64`);
        fs.writeFileSync(`${tree}${loader}`, '');
      };
    const cacheOf = (root: string): string =>
      execFileSync('/sbin/ldconfig', ['-p', '-C', `${root}/etc/ld.so.cache`], { encoding: 'utf8' });

    it('lets the loader of an image that has no ldconfig find them, first of all', async () => {
      const mine = library('libx.so.1.5', { soname: 'libx.so.1' });
      const { root } = await succeed(
        {
          mounts: [bind(mine, '/opt/site/lib/libx.so.1.5')],
          libraryDirectories: ['/opt/site/lib'],
        },
        (tree) => {
          glibcImage()(tree);
          buildSharedObject(`${tree}${libraries}/libx.so.1`, { soname: 'libx.so.1' });
        },
      );
      const found = cacheOf(root)
        .split('\n')
        .filter((line) => line.includes('libx.so.1 '));
      assert.match(found[0] ?? '', / => \/opt\/site\/lib\/libx\.so\.1$/);
      // The link with the soname is ldconfig's work, too.
      assert.equal(fs.readlinkSync(`${root}/opt/site/lib/libx.so.1`), 'libx.so.1.5');
    });

    it('names them in ld.so.conf, for an ldconfig in the container', async () => {
      const { root } = await succeed({ libraryDirectories: ['/opt/a', '/opt/b'] }, (tree) => {
        glibcImage()(tree);
        fs.mkdirSync(`${tree}/etc`);
        fs.writeFileSync(`${tree}/etc/ld.so.conf`, '/opt/theirs\n');
      });
      assert.equal(
        fs.readFileSync(`${root}/etc/ld.so.conf`, 'utf8'),
        'include /etc/ld.so.conf.d/*.conf\n/opt/theirs\n',
      );
      assert.equal(
        fs.readFileSync(`${root}/etc/ld.so.conf.d/00-device-libraries.conf`, 'utf8'),
        '/opt/a\n/opt/b\n',
      );
    });

    it('leaves an ld.so.conf alone that includes others', async () => {
      const theirs = '# theirs\ninclude /etc/ld.so.conf.d/*.conf\n';
      const { root } = await succeed({ libraryDirectories: ['/opt/a'] }, (tree) => {
        glibcImage()(tree);
        fs.mkdirSync(`${tree}/etc`);
        fs.writeFileSync(`${tree}/etc/ld.so.conf`, theirs);
      });
      assert.equal(fs.readFileSync(`${root}/etc/ld.so.conf`, 'utf8'), theirs);
    });

    it('writes no cache through a link of the image, and none into the tree', async () => {
      fs.writeFileSync(`${host}/victim`, 'of the host');
      sandbox().giveToUser(host);
      const { root } = await succeed({ libraryDirectories: ['/opt/a'] }, (tree) => {
        glibcImage()(tree);
        fs.mkdirSync(`${tree}/etc`);
        for (const name of ['ld.so.cache', 'ld.so.cache~', 'ld.so.conf'])
          fs.symlinkSync(`${host}/victim`, `${tree}/etc/${name}`);
      });
      assert.equal(fs.readFileSync(`${host}/victim`, 'utf8'), 'of the host');
      assert.ok(fs.lstatSync(`${root}/etc/ld.so.cache`).isFile());
    });

    for (const place of ['/etc', '/etc/ld.so.conf.d'])
      it(`writes nothing to what is mounted on ${place}`, async () => {
        sandbox().giveToUser(host);
        const before = fs.readdirSync(host);
        await fail(
          new RegExp(`are announced in ${place} of the container, where something else is mounted`),
          { mounts: [bind(host, place)], libraryDirectories: ['/opt/a'] },
          glibcImage(),
        );
        assert.deepEqual(fs.readdirSync(host), before);
      });

    it('makes none for an image without glibc', async () => {
      const { root } = await succeed({ libraryDirectories: ['/opt/a'] });
      assert.deepEqual(fs.readdirSync(`${root}/etc`).sort(), ['group', 'passwd']);
    });

    it('refuses one that needs a newer glibc than the image has', async () => {
      const path = library('libmpi.so', { soname: 'libmpi.so.12', needs: { 'libc.so.6': 'GLIBC_2.38' } });
      await fail(
        `image registry.example/team/app:1: device ${device} brings /opt/libmpi.so.12, which needs GLIBC_2.38, and the ` +
          'image has GLIBC_2.36; use an image of a newer distribution, or leave the device out',
        { mounts: [bind(path, '/opt/libmpi.so.12')] },
        glibcImage(),
      );
    });

    it('takes one that needs as much as the image has', async () => {
      const path = library('libmpi.so', { soname: 'libmpi.so.12', needs: { 'libc.so.6': 'GLIBC_2.9' } });
      await succeed({ mounts: [bind(path, '/opt/libmpi.so.12')] }, glibcImage());
    });

    it('only says it of a device that came by itself, once', async () => {
      const path = library('libmpi.so', { soname: 'libmpi.so.12', needs: { 'libc.so.6': 'GLIBC_2.38' } });
      const { status, stderr } = await enter(
        { mounts: [bind(path, '/opt/a.so'), bind(path, '/opt/b.so')], automaticDevices: [device] },
        glibcImage(),
      );
      assert.equal(status, 0);
      assert.match(
        stderr,
        /^[^\n]*device site\.example\/mpi=cray brings \/opt\/a\.so, which needs GLIBC_2\.38, and [^\n]*\n$/,
      );
    });

    it('looks into directories that the loader looks into, and into no others', async () => {
      fs.mkdirSync(`${host}/lib`);
      library('lib/libmpi.so.12', { soname: 'libmpi.so.12', needs: { 'libc.so.6': 'GLIBC_2.38' } });
      await fail(
        /device site\.example\/mpi=cray brings \/opt\/site\/lib\/libmpi\.so\.12, which needs GLIBC_2\.38/,
        { mounts: [bind(host, '/opt/site')], libraryDirectories: ['/opt/site/lib'] },
        glibcImage(),
      );
    });

    it('does not mind what nobody will load', async () => {
      fs.mkdirSync(`${host}/lib`);
      library('lib/libmpi.so.12', { soname: 'libmpi.so.12', needs: { 'libc.so.6': 'GLIBC_2.38' } });
      await succeed({ mounts: [bind(host, '/opt/site')] }, glibcImage());
    });

    it('does not look at what is no device', async () => {
      const path = library('libx.so', { soname: 'libx.so.1', needs: { 'libc.so.6': 'GLIBC_2.38' } });
      await succeed({ mounts: [bind(path, '/opt/x.so', '--image-mount')] }, glibcImage());
    });

    it('looks at the C++ library as well, also at one that the device brings', async () => {
      const path = library('libx.so', { soname: 'libx.so.1', needs: { 'libstdc++.so.6': 'GLIBCXX_3.4.32' } });
      const image = (tree: string): void => {
        glibcImage()(tree);
        buildSharedObject(`${tree}${libraries}/libstdc++.so.6`, {
          soname: 'libstdc++.so.6',
          defines: ['GLIBCXX_3.4.30'],
        });
      };
      await fail(
        /brings \/opt\/lib\/libx\.so\.1, which needs GLIBCXX_3\.4\.32, and the image has GLIBCXX_3\.4\.30/,
        { mounts: [bind(path, '/opt/lib/libx.so.1')] },
        image,
      );
    });

    it('takes the C++ library that the device brings besides', async () => {
      fs.mkdirSync(`${host}/lib`);
      library('lib/libx.so', { soname: 'libx.so.1', needs: { 'libstdc++.so.6': 'GLIBCXX_3.4.32' } });
      library('lib/libstdc++.so.6', { soname: 'libstdc++.so.6', defines: ['GLIBCXX_3.4.32'] });
      await succeed(
        { mounts: [bind(`${host}/lib`, '/opt/lib')], libraryDirectories: ['/opt/lib'] },
        (tree) => {
          glibcImage()(tree);
          buildSharedObject(`${tree}${libraries}/libstdc++.so.6`, {
            soname: 'libstdc++.so.6',
            defines: ['GLIBCXX_3.4.30'],
          });
        },
      );
    });

    it('refuses one for glibc in an image with musl', async () => {
      const path = library('libx.so', { soname: 'libx.so.1', needs: { 'libc.so.6': 'GLIBC_2.17' } });
      await fail(
        /brings \/opt\/x\.so, which needs GLIBC_2\.17, and the image's C library is musl; use an image with glibc/,
        {
          mounts: [bind(path, '/opt/x.so')],
        },
        (tree) => {
          fs.mkdirSync(`${tree}/lib`);
          fs.writeFileSync(`${tree}/lib/ld-musl-x86_64.so.1`, '');
        },
      );
    });

    it('refuses one in the place of one with another soname, also behind a link', async () => {
      const path = library('libmpi.so', { soname: 'libmpi.so.12' });
      await fail(
        /: device site\.example\/mpi=cray puts libmpi\.so\.12 in the place of the image's .*\/libmpi\.so, which is libmpi\.so\.40: programs that were built with one cannot use the other/,
        { mounts: [bind(path, `${libraries}/libmpi.so`)] },
        (tree) => {
          glibcImage()(tree);
          buildSharedObject(`${tree}${libraries}/libmpi.so.40.30`, { soname: 'libmpi.so.40' });
          fs.symlinkSync('libmpi.so.40.30', `${tree}${libraries}/libmpi.so`);
        },
      );
    });

    it('puts one in the place of one with the same soname', async () => {
      const path = library('libmpi.so', { soname: 'libmpi.so.12', defines: ['HOST_1'] });
      const { root } = await succeed({ mounts: [bind(path, `${libraries}/libmpi.so.12`)] }, (tree) => {
        glibcImage()(tree);
        buildSharedObject(`${tree}${libraries}/libmpi.so.12`, { soname: 'libmpi.so.12' });
      });
      assert.deepEqual(fs.readFileSync(`${root}${libraries}/libmpi.so.12`), fs.readFileSync(path));
    });

    it('is not led astray by a C library of the image that is a FIFO, a directory or damaged', async () => {
      const path = library('libx.so', { soname: 'libx.so.1', needs: { 'libc.so.6': 'GLIBC_2.38' } });
      await succeed({ mounts: [bind(path, '/opt/x.so')] }, (tree) => {
        fs.mkdirSync(`${tree}/lib64`);
        fs.writeFileSync(`${tree}${loader}`, '');
        fs.mkdirSync(`${tree}/lib64/libc.so.6`);
        fs.mkdirSync(`${tree}/usr/lib64`, { recursive: true });
        execFileSync('mkfifo', [`${tree}/usr/lib64/libc.so.6`]);
        fs.mkdirSync(`${tree}/lib`);
        fs.writeFileSync(
          `${tree}/lib/libc.so.6`,
          Buffer.concat([fs.readFileSync(path).subarray(0, 200), Buffer.alloc(5000, 0xff)]),
        );
      });
    });
  });

  describe('by device nodes', () => {
    const node = (
      source: string,
      wanted: { path?: string; type?: string; major?: number; minor?: number },
    ) => ({
      deviceNodes: [{ path: '/device', source, device, ...wanted }],
    });
    const dev = { mounts: [{ source: '/dev', target: '/dev' }] };

    it('takes a node that is as the specification says', async () => {
      const { root } = await succeed(node('/dev/null', { type: 'c', major: 1, minor: 3 }));
      assert.ok(fs.statSync(`${root}/device`).isCharacterDevice());
      fs.writeFileSync(`${root}/device`, 'gone');
    });
    it('refuses one with another number', () =>
      fail(
        /: device site\.example\/mpi=cray: '\/dev\/null' on this node is 1:3, and its specification says 1:5; the administrators/,
        node('/dev/null', { type: 'c', major: 1, minor: 5 }),
      ));
    it('refuses what is no such node', () => {
      fs.writeFileSync(`${host}/file`, '');
      return fail(/'.*\/host\/file' on this node is not of type 'c'$/, node(`${host}/file`, { type: 'c' }));
    });
    it('refuses one that is missing', () =>
      fail(/: device site\.example\/mpi=cray: '\/dev\/nvidia77' on this node cannot be used: No such file/, {
        ...dev,
        ...node('/dev/nvidia77', { path: '/dev/nvidia77' }),
      }));
    it('refuses a directory', () => fail(/\/host' on this node is a directory$/, node(host, {})));

    it('leaves /dev as it is for those that are there', async () => {
      const { root, mounts } = await succeed({ ...dev, ...node('/dev/zero', { path: '/dev/null' }) });
      assert.ok(!mounts.has('/dev/zero'));
      assert.equal(fs.statSync(`${root}/dev/null`).rdev, fs.statSync('/dev/zero').rdev);
    });

    it('has a /dev with all of the host for those that are not', async () => {
      const { root, mounts } = await succeed({ ...dev, ...node('/dev/zero', { path: '/dev/vendor/fake0' }) });
      assert.equal(mounts.get('/dev')?.type, 'tmpfs');
      assert.equal(fs.statSync(`${root}/dev/vendor/fake0`).rdev, fs.statSync('/dev/zero').rdev);
      assert.ok(!fs.existsSync('/dev/vendor'));
      const own = fs.readdirSync('/dev').filter((name) => name !== 'vendor');
      assert.deepEqual(
        fs
          .readdirSync(`${root}/dev`)
          .filter((name) => name !== 'vendor')
          .sort(),
        own.sort(),
      );
      for (const name of own) {
        const [theirs, ours] = [fs.lstatSync(`/dev/${name}`), fs.lstatSync(`${root}/dev/${name}`)];
        assert.deepEqual([ours.mode, ours.rdev], [theirs.mode, theirs.rdev], name);
      }
      fs.writeFileSync(`${root}/dev/null`, 'gone');
    });
  });

  describe('for members of a group', () => {
    it('says to whom is none that the administrators must make them one', async () => {
      const { status, stderr } = await enter({ deviceGroups: [{ gid: 4242, device }] });
      assert.equal(status, 0);
      assert.match(
        stderr,
        /device site\.example\/mpi=cray is for members of group 4242, and you are not one; only the administrators/,
      );
    });
    it('says nothing to members', async () => {
      const { status, stderr } = await enter({ deviceGroups: [{ gid, device }] });
      assert.deepEqual([status, stderr], [0, '']);
    });
  });
});
