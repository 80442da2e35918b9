import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';

import { stowage } from '#proto';

import { gid, uid } from '../support/enter-sandbox.js';
import { eachPlanned, type Plan } from '../support/planned-container.js';

const { Kind, Propagation } = stowage.v1.Mount;
const origin = '--image-mount';

describe('stowage-enter, mounting', () => {
  const planned = eachPlanned();
  let data: string;

  beforeEach(() => {
    data = planned().data;
  });

  const succeed = (plan: Plan, build?: (root: string) => void) => planned().succeed(plan, build);
  const fail = (sentence: string | RegExp, plan: Plan, build?: (root: string) => void) =>
    planned().fail(sentence, plan, build);

  for (const [what, targetFor, suffix] of [
    ['a relative target', (path: string) => `${path.slice(1)}/b`, '/b'],
    ['a target that climbs', (path: string) => `/../..${path}/a/../b`, '/b'],
    ['a target below an absolute link', () => '/absolute/b', '/b'],
    ['a target below a link that climbs', () => '/climbing/b', '/b'],
    ['a target that is a link', () => '/absolute', ''],
  ] as const) {
    it(`keeps ${what} inside`, async () => {
      const mounts = [{ source: data, target: targetFor(data) }];
      const container = await succeed({ mounts }, (tree) => {
        fs.mkdirSync(`${tree}${data}`, { recursive: true });
        fs.symlinkSync(data, `${tree}/absolute`);
        fs.symlinkSync('../../../..' + data, `${tree}/climbing`);
      });
      assert.deepEqual([...container.mounts.keys()], ['/', data + suffix]);
      assert.equal(fs.readFileSync(`${container.root}${data}${suffix}/file`, 'utf8'), 'of the host');
      assert.deepEqual(fs.readdirSync(data), ['file']);
    });
  }

  it('puts a file in place of a link to nowhere', async () => {
    const mounts = [{ source: `${data}/file`, target: '/etc/resolv.conf' }];
    const { root } = await succeed({ mounts }, (tree) => {
      fs.mkdirSync(`${tree}/etc`);
      fs.symlinkSync('../run/nosuch/resolv.conf', `${tree}/etc/resolv.conf`);
    });
    assert.equal(fs.readFileSync(`${root}/etc/resolv.conf`, 'utf8'), 'of the host');
  });

  it('makes them in order, the later over the earlier', async () => {
    fs.mkdirSync(`${data}/inner`);
    const mounts = [
      { source: data, target: '/d' },
      { source: `${data}/inner`, target: '/d' },
    ];
    const { root } = await succeed({ mounts });
    assert.deepEqual(fs.readdirSync(`${root}/d`), []);
  });

  it('makes read-only what is to be, and nothing else', async () => {
    const { mounts } = await succeed({
      mounts: [
        { source: data, target: '/ro', readOnly: true },
        { source: data, target: '/rw' },
      ],
    });
    assert.ok(mounts.get('/ro')?.options.includes('ro'));
    assert.ok(mounts.get('/rw')?.options.includes('rw'));
  });

  it('takes spaces, commas, colons and newlines for what they are', async () => {
    const odd = 'a b,c:d\\e\nf';
    fs.mkdirSync(`${data}/${odd}`);
    const { root } = await succeed({
      mounts: [{ source: `${data}/${odd}`, target: `/${odd}`, readOnly: true }],
    });
    assert.ok(fs.statSync(`${root}/${odd}`).isDirectory());
  });

  it('leaves out an optional source that is missing, below a file, or out of reach', async () => {
    fs.mkdirSync(`${data}/locked`);
    fs.chmodSync(`${data}/locked`, 0);
    const sources = ['/nosuch', `${data}/file/x`, `${data}/locked/x`];
    const mounts = sources.map((source, index) => ({ source, target: `/m${index}`, optional: true }));
    const { root } = await succeed({ mounts });
    assert.deepEqual(fs.readdirSync(root), ['etc']);
  });

  it('misses a source', () =>
    fail(
      /^image registry\.example\/team\/app:1: cannot mount '\/nosuch' on '\/m' in the container: cannot open '\/nosuch' on this node: No such file or directory$/,
      { mounts: [{ source: '/nosuch', target: '/m' }] },
    ));

  it('refuses a file over a directory', () =>
    fail(
      /^image .*: cannot mount '.*\/data\/file' on '\/m' in the container: only one of them is a directory$/,
      { mounts: [{ source: `${data}/file`, target: '/m' }] },
      (root) => fs.mkdirSync(`${root}/m`),
    ));

  it('refuses a directory over a file', () =>
    fail(
      /^image .*: cannot mount '.*\/data' on '\/m' in the container: .*Not a directory$/,
      { mounts: [{ source: data, target: '/m' }] },
      (root) => fs.writeFileSync(`${root}/m`, ''),
    ));

  it('refuses a target in a loop of links', () =>
    fail(
      /^image .*: cannot mount .* on '\/loop\/m' in the container: .*: Too many levels of symbolic links$/,
      { mounts: [{ source: data, target: '/loop/m' }] },
      (root) => fs.symlinkSync('loop', `${root}/loop`),
    ));

  it('refuses a target below a link to nowhere', () =>
    fail(
      /^image .*: cannot mount .* on '\/gone\/m' in the container: cannot make the directory \/gone in the container: No such file or directory$/,
      { mounts: [{ source: data, target: '/gone/m' }] },
      (root) => fs.symlinkSync('/nosuch/deep', `${root}/gone`),
    ));

  it('says what asked for a mount that fails', () =>
    fail(
      "image registry.example/team/app:1: --image-mount: cannot mount '/nosuch' on '/m' in the container: " +
        "cannot open '/nosuch' on this node: No such file or directory",
      { mounts: [{ origin, source: '/nosuch', target: '/m' }] },
    ));

  it('shows a file that the user may not read, and lets nobody read it', async () => {
    fs.writeFileSync(`${data}/shadow`, 'secret', { mode: 0 });
    const { holder, root } = await succeed({
      mounts: [{ origin, source: `${data}/shadow`, target: '/etc/shadow' }],
    });
    const read = [
      '--reuid',
      String(uid),
      '--regid',
      String(gid),
      '--clear-groups',
      'cat',
      `${root}/etc/shadow`,
    ];
    const { status, stderr } = spawnSync('setpriv', read, { encoding: 'utf8' });
    assert.ok(holder > 0 && status === 1, stderr);
    assert.match(stderr, /Permission denied/);
  });

  it('gives a bind mount all the flags that were asked for, and no other', async () => {
    const all = { noSuid: true, noDev: true, noExec: true, readOnly: true };
    const { mounts } = await succeed({
      mounts: [
        { origin, source: data, target: '/all', ...all },
        { origin, source: data, target: '/nosuid', noSuid: true },
        { origin, source: data, target: '/noexec', noExec: true },
        { origin, source: data, target: '/nodev', noDev: true },
        { origin, source: data, target: '/none' },
      ],
    });
    const flags = (target: string): string[] | undefined => {
      const options = mounts.get(target)?.options;
      const before = mounts.get('/none')?.options;
      return options?.filter((option) => target === '/none' || !before?.includes(option));
    };
    assert.deepEqual(flags('/all'), ['ro', 'nosuid', 'nodev', 'noexec']);
    assert.deepEqual(flags('/nosuid'), ['nosuid']);
    assert.deepEqual(flags('/noexec'), ['noexec']);
    assert.deepEqual(flags('/nodev'), ['nodev']);
    assert.ok(flags('/none')?.includes('rw'));
  });

  describe('of a directory with another file system below', () => {
    // /dev has some on every Linux.
    const dev = { origin, source: '/dev', target: '/d' };

    it('makes all of it read-only', async () => {
      const { mounts } = await succeed({ mounts: [{ ...dev, readOnly: true, noExec: true }] });
      for (const target of ['/d', '/d/shm', '/d/pts'])
        for (const flag of ['ro', 'noexec']) assert.ok(mounts.get(target)?.options.includes(flag), target);
    });

    it('refuses to leave that out, as the kernel does', () =>
      fail(
        "image registry.example/team/app:1: --image-mount: cannot mount '/dev' on '/d' in the container: " +
          "'/dev' has further file systems mounted below it, and users can bind it only together with them " +
          '(rbind)',
        { mounts: [{ ...dev, notRecursive: true }] },
      ));
  });

  it('binds a directory alone where nothing is mounted below', async () => {
    const { root } = await succeed({ mounts: [{ origin, source: data, target: '/m', notRecursive: true }] });
    assert.equal(fs.readFileSync(`${root}/m/file`, 'utf8'), 'of the host');
  });

  describe('with a propagation', () => {
    const propagationOf = async (propagation: stowage.v1.Mount.Propagation, recursive = false) => {
      const { holder } = await succeed({
        mounts: [{ origin, source: '/dev', target: '/d', propagation, propagationRecursive: recursive }],
      });
      const lines = fs.readFileSync(`/proc/${holder}/mountinfo`, 'utf8').split('\n');
      return ['/d', '/d/shm'].map((target) => {
        const fields = lines.find((line) => line.split(' ')[4] === target)?.split(' ') ?? [];
        return fields.slice(6, fields.indexOf('-')).map((field) => field.replace(/:.*/, ''));
      });
    };
    const byDefault = () => propagationOf(Propagation.PROPAGATION_UNSPECIFIED);

    for (const [name, propagation, tags] of [
      ['private', Propagation.PROPAGATION_PRIVATE, []],
      ['unbindable', Propagation.PROPAGATION_UNBINDABLE, ['unbindable']],
    ] as const) {
      it(`makes it ${name}`, async () => {
        const [top, below] = await propagationOf(propagation);
        assert.deepEqual(top, tags);
        if (below?.length) assert.deepEqual(below, ['master']);
      });

      it(`makes it ${name}, and all below`, async () => {
        assert.deepEqual(await propagationOf(propagation, true), [tags, tags]);
      });
    }

    it('makes it shared', async () => {
      const [top, below] = await propagationOf(Propagation.PROPAGATION_SHARED);
      assert.ok(top?.includes('shared'));
      assert.ok(below && !below.includes('shared'));
    });

    it('makes it shared, and all below', async () => {
      for (const tags of await propagationOf(Propagation.PROPAGATION_SHARED, true))
        assert.ok(tags.includes('shared'));
    });

    it('is a slave of the host unless asked otherwise', async () => {
      for (const tags of await byDefault()) assert.ok(!tags.includes('shared'));
    });

    it('keeps what is private private below what is shared', async () => {
      const { holder } = await succeed({
        mounts: [
          { origin, kind: Kind.KIND_TMPFS, target: '/a', propagation: Propagation.PROPAGATION_SHARED },
          { origin, kind: Kind.KIND_TMPFS, target: '/a/b', propagation: Propagation.PROPAGATION_UNBINDABLE },
        ],
      });
      const lines = fs.readFileSync(`/proc/${holder}/mountinfo`, 'utf8');
      assert.match(lines, / \/a rw\S* shared:\d+ - tmpfs/);
      assert.match(lines, / \/a\/b rw\S* unbindable - tmpfs/);
    });
  });

  describe('a tmpfs', () => {
    const tmpfs = { origin, kind: Kind.KIND_TMPFS };

    it('is empty, writable, and of the user', async () => {
      const { mounts, root } = await succeed({ mounts: [{ ...tmpfs, target: '/scratch/fast' }] });
      const { type, options } = mounts.get('/scratch/fast') ?? {};
      assert.equal(type, 'tmpfs');
      for (const flag of ['rw', 'nosuid', 'nodev']) assert.ok(options?.includes(flag));
      const info = fs.statSync(`${root}/scratch/fast`);
      assert.deepEqual([info.uid, info.gid, info.mode & 0o7777], [uid, gid, 0o755]);
    });

    it('has the size, mode and flags that were asked for', async () => {
      const mount = {
        ...tmpfs,
        target: '/t',
        sizeBytes: 1 << 20,
        mode: 0o1777,
        noExec: true,
        readOnly: true,
      };
      const { mounts, root } = await succeed({ mounts: [mount] });
      const { blocks, bsize } = fs.statfsSync(`${root}/t`);
      assert.equal(blocks * bsize, 1 << 20);
      assert.equal(fs.statSync(`${root}/t`).mode & 0o7777, 0o1777);
      for (const flag of ['ro', 'noexec']) assert.ok(mounts.get('/t')?.options.includes(flag));
    });

    it('takes a size beyond 32 bits', async () => {
      const { root } = await succeed({ mounts: [{ ...tmpfs, target: '/t', sizeBytes: 3 * 2 ** 40 }] });
      const { blocks, bsize } = fs.statfsSync(`${root}/t`);
      assert.equal(blocks * bsize, 3 * 2 ** 40);
    });

    it('is refused over a file', () =>
      fail(
        /^image .*: --image-mount: cannot mount a tmpfs on '\/m' in the container: .*Not a directory$/,
        { mounts: [{ ...tmpfs, target: '/m' }] },
        (root) => fs.writeFileSync(`${root}/m`, ''),
      ));
  });

  describe('taking away', () => {
    const unmount = { origin, kind: Kind.KIND_UNMOUNT };

    it('uncovers what the image has, whatever lies one over another', async () => {
      const { mounts, root } = await succeed(
        {
          mounts: [
            { source: data, target: '/m' },
            { origin, source: data, target: '/m' },
            { ...unmount, target: '/link' },
          ],
        },
        (tree) => {
          fs.mkdirSync(`${tree}/m`);
          fs.writeFileSync(`${tree}/m/own`, '');
          fs.symlinkSync('/m', `${tree}/link`);
        },
      );
      assert.deepEqual([...mounts.keys()], ['/']);
      assert.deepEqual(fs.readdirSync(`${root}/m`), ['own']);
    });

    it('takes a mounted file away, and what is mounted below a directory', async () => {
      const { mounts } = await succeed({
        mounts: [
          { source: '/dev', target: '/d' },
          { source: `${data}/file`, target: '/f' },
          { ...unmount, target: '/d' },
          { ...unmount, target: '/f' },
        ],
      });
      assert.deepEqual([...mounts.keys()], ['/']);
    });

    for (const [what, target, why] of [
      ['a directory of the image', '/m', 'nothing is mounted there'],
      ['nothing at all', '/nosuch', 'there is no such file or directory'],
      ['the root directory', '/', 'it is the root directory; name a directory below it'],
      ['the root directory, in other words', '/m/..', 'it is the root directory; name a directory below it'],
      ['a part of a mount', '/d/shm', 'it came together with a mount above it and goes only with that'],
      ['/proc', '/proc', "/proc and /sys are the kernel's; name another place"],
    ] as const) {
      it(`refuses ${what}`, () =>
        fail(
          `image registry.example/team/app:1: --image-mount: cannot unmount '${target}' in the container: ${why}`,
          {
            mounts: [
              { source: '/dev', target: '/d' },
              { source: '/proc', target: '/proc' },
              { ...unmount, target },
            ],
          },
          (root) => fs.mkdirSync(`${root}/m`),
        ));
    }
  });

  describe("over what is the kernel's", () => {
    const kernel = ['/proc', '/sys'].map((path) => ({ source: path, target: path }));
    const build = (tree: string): void => {
      fs.mkdirSync(`${tree}/a`);
      fs.symlinkSync('/proc', `${tree}/absolute`);
      fs.symlinkSync('../../sys', `${tree}/a/climbing`);
    };
    for (const target of [
      '/proc',
      '/proc/',
      '/proc/self/net',
      '/sys/nosuch/below',
      '//proc',
      'proc',
      '/a/../proc',
      '/a/../../../proc/1',
      '/absolute',
      '/absolute/nosuch/x',
      '/a/climbing/kernel',
      '/elsewhere/fs',
    ])
      it(`refuses ${target}`, () =>
        fail(
          `image registry.example/team/app:1: --image-mount: cannot mount '${data}' on '${target}' in the ` +
            "container: /proc and /sys are the kernel's; name another place",
          {
            mounts: [...kernel, { source: '/sys', target: '/elsewhere' }, { origin, source: data, target }],
          },
          build,
        ));

    it('refuses a tmpfs there too, and where the image has no such directory', () =>
      fail(/: cannot mount a tmpfs on '\/sys\/x' in the container: \/proc and \/sys are the kernel's/, {
        mounts: [{ origin, kind: Kind.KIND_TMPFS, target: '/sys/x' }],
      }));

    it('takes names that only begin alike', async () => {
      const targets = ['/process', '/a/proc', '/system'];
      const { mounts } = await succeed(
        { mounts: [...kernel, ...targets.map((target) => ({ origin, source: data, target }))] },
        build,
      );
      for (const target of targets) assert.ok(mounts.has(target));
    });
  });

  for (const target of ['/', '/..', '//', '/link'])
    it(`refuses the root directory as a target: ${target}`, () =>
      fail(
        /^image .*: --image-mount: cannot mount .*: it is the root directory; name a directory below it$/,
        { mounts: [{ origin, source: data, target }] },
        (root) => fs.symlinkSync('..', `${root}/link`),
      ));

  it('refuses a kind that it does not know', () =>
    fail(/stowaged asks for a mount on '\/m' that stowage-enter does not know$/, {
      mounts: [{ origin, kind: 9 as never, target: '/m' }],
    }));

  it('writes nothing of its own to a directory that is shown as /etc', async () => {
    await succeed({ mounts: [{ origin, source: data, target: '/etc' }] });
    assert.deepEqual(fs.readdirSync(data), ['file']);
  });
});
