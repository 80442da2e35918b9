import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';

import type { PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import {
  eachInEnterSandbox,
  endOf,
  gid,
  type EnterOptions,
  uid,
  userName,
} from '../support/enter-sandbox.js';
import { listenGrpc, welcome } from '../support/fake-daemon.js';

/** Of all processes that there are. */
const mountTables = (): string[] =>
  fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => `/proc/${pid}/mountinfo`);

type Plan = NonNullable<PrepareResponseMessage['plan']>;

describe('stowage-enter, building a container', () => {
  const sandbox = eachInEnterSandbox();
  /** A host directory of the user, with one file. */
  let data: string;

  beforeEach(() => {
    data = `${sandbox().directory}/data`;
    fs.mkdirSync(data);
    fs.writeFileSync(`${data}/file`, 'of the host');
    sandbox().giveToUser(data);
  });

  const serve = async (plan: Plan, build?: (root: string) => void): Promise<string> => {
    const imageDigest = sandbox().makeTree(build);
    await sandbox().serve(
      listenGrpc(sandbox().socket, (call) => {
        call.write(welcome);
        call.write({ plan: { imageDigest, workingDirectory: '/', ...plan } });
        call.end();
      }),
    );
    return `${sandbox().store}/${imageDigest.replace(':', '-')}`;
  };
  const succeed = async (plan: Plan, build?: (root: string) => void, options?: EnterOptions) => {
    await serve(plan, build);
    return sandbox().succeed(options);
  };
  const fail = async (sentence: string | RegExp, plan: Plan, build?: (root: string) => void) => {
    await serve(plan, build);
    // Mount points stay for the next step.
    fs.mkdirSync(`${sandbox().store}/${sandbox().kept()[0] ?? ''}.mount`);
    return sandbox().fail(sentence);
  };

  it('gives it namespaces of its own, of which the user is the owner', async () => {
    const { holder } = await succeed({});
    for (const kind of ['user', 'mnt'])
      assert.notEqual(
        fs.readlinkSync(`/proc/${holder}/ns/${kind}`),
        fs.readlinkSync(`/proc/self/ns/${kind}`),
      );
    for (const kind of ['pid', 'net', 'ipc', 'uts'])
      assert.equal(fs.readlinkSync(`/proc/${holder}/ns/${kind}`), fs.readlinkSync(`/proc/self/ns/${kind}`));
    for (const [map, id] of [
      ['uid_map', uid],
      ['gid_map', gid],
    ] as const) {
      const entry = fs.readFileSync(`/proc/${holder}/${map}`, 'utf8').trim().split(/\s+/).map(Number);
      assert.deepEqual(entry, [id, id, 1]);
    }
  });

  it('has the tree below and the rest of the host out of sight', async () => {
    const { root, mounts } = await succeed({}, (tree) => fs.writeFileSync(`${tree}/hello`, 'from the image'));
    assert.equal(fs.readFileSync(`${root}/hello`, 'utf8'), 'from the image');
    assert.deepEqual(fs.readdirSync(root).sort(), ['etc', 'hello']);
    assert.deepEqual([...mounts.keys()], ['/']);
    const overlay = mounts.get('/');
    assert.equal(overlay?.type, 'overlay');
    assert.ok(overlay.options.includes('nosuid') && overlay.options.includes('nodev'));
    assert.ok(
      overlay.superOptions.includes(`lowerdir=${sandbox().store}/${sandbox().kept().sort()[0] ?? ''}`),
    );
  });

  it('knows the user, and whom the image knows but the user', async () => {
    const theirs = [
      'root:x:0:0::/root:/bin/sh',
      `squatter:x:${uid}:0::/:/bin/sh`,
      `${userName}:x:0:0::/:/bin/sh`,
      `${userName}-2:x:${uid}0:0::/:/bin/sh`,
      '',
      'half a line',
      'last:x:9:9::/:/bin/false',
    ].join('\n');
    const tree = await serve({}, (root) => {
      fs.mkdirSync(`${root}/etc`);
      fs.writeFileSync(`${root}/etc/passwd`, theirs);
      fs.writeFileSync(`${root}/etc/group`, `root:x:0:\nothers:x:${gid}:\n`);
    });
    const { root } = await sandbox().succeed();
    const [own, ...others] = fs.readFileSync(`${root}/etc/passwd`, 'utf8').split('\n');
    assert.match(own ?? '', new RegExp(`^${userName}:x:${uid}:${gid}:[^:]*:/[^:]*:/`));
    assert.deepEqual(others, [
      'root:x:0:0::/root:/bin/sh',
      `${userName}-2:x:${uid}0:0::/:/bin/sh`,
      'half a line',
      'last:x:9:9::/:/bin/false',
      '',
    ]);
    const [group, ...groups] = fs.readFileSync(`${root}/etc/group`, 'utf8').split('\n');
    assert.match(group ?? '', new RegExp(`^[^:]+:x:${gid}:$`));
    assert.deepEqual(groups, ['root:x:0:', '']);
    assert.equal(fs.readFileSync(`${tree}/etc/passwd`, 'utf8'), theirs);
  });

  it('writes no passwd through a link of the image', async () => {
    fs.writeFileSync(`${data}/passwd`, 'of the host');
    fs.chmodSync(`${data}/passwd`, 0o666);
    const { root } = await succeed({}, (tree) => {
      fs.mkdirSync(`${tree}/etc`);
      fs.symlinkSync(`${data}/passwd`, `${tree}/etc/passwd`);
      fs.symlinkSync('../../../../../../..' + data, `${tree}/etc/group`);
    });
    assert.equal(fs.readFileSync(`${data}/passwd`, 'utf8'), 'of the host');
    assert.ok(fs.lstatSync(`${root}/etc/passwd`).isFile());
    assert.ok(fs.lstatSync(`${root}/etc/group`).isFile());
  });

  it('refuses an image whose passwd is a directory', () =>
    fail(/^image .*: cannot replace \/etc\/passwd in the container: /, {}, (root) =>
      fs.mkdirSync(`${root}/etc/passwd`, { recursive: true }),
    ));

  it('hands the environment of the plan on', async () => {
    const { environment } = await succeed({
      unsetEnvironment: ['LD_PRELOAD'],
      environment: [
        { name: 'A', value: 'b=c\nd' },
        { name: 'EMPTY', value: '' },
      ],
    });
    assert.deepEqual(environment, ['-LD_PRELOAD', '=A=b=c\nd', '=EMPTY=']);
  });

  it('leaves nobody behind when nobody takes its answer', async () => {
    const tree = await serve({});
    const { status, stderr } = await sandbox().enter({ answered: false });
    assert.equal(status, 1);
    assert.match(stderr, /cannot answer the plugin/);
    const { stdout } = spawnSync('grep', ['-lsF', tree, ...mountTables()], { encoding: 'utf8' });
    assert.equal(stdout, '');
  });

  it('ends with slurmstepd', async () => {
    const slurmstepd = spawn('sleep', ['60']);
    try {
      const { holder } = await succeed({}, undefined, { lifeline: slurmstepd.pid ?? 0 });
      slurmstepd.kill('SIGKILL');
      await endOf(holder);
    } finally {
      slurmstepd.kill('SIGKILL');
    }
  });

  it('keeps its tree from a sweep until it ends', async () => {
    const { holder, root } = await succeed({}, (tree) => fs.writeFileSync(`${tree}/hello`, ''));
    assert.deepEqual(await sandbox().sweep(), { status: 0, stderr: '' });
    assert.ok(fs.existsSync(`${root}/hello`));
    process.kill(holder, 'SIGKILL');
    await endOf(holder);
    assert.deepEqual(await sandbox().sweep(), { status: 0, stderr: '' });
    assert.deepEqual(fs.readdirSync(sandbox().store), []);
  });

  describe('with a working directory', () => {
    it('starts where the job was submitted if that is to be seen', async () => {
      const mounts = [{ source: data, target: data }];
      const { directory } = await succeed({ mounts, workingDirectory: '/w' }, undefined, { chdir: data });
      assert.equal(directory, data);
    });

    it('starts where the image says otherwise, and makes that', async () => {
      const { directory, root } = await succeed({ workingDirectory: '/w/x' }, undefined, { chdir: data });
      assert.equal(directory, '/w/x');
      assert.ok(fs.statSync(`${root}/w/x`).isDirectory());
    });

    it('makes none above the root', async () => {
      const { root } = await succeed({ workingDirectory: '/../../w/../../x' });
      assert.deepEqual(fs.readdirSync(root).sort(), ['etc', 'w', 'x']);
    });

    it('refuses one that is a file of the image', () =>
      fail(
        /^image .*: cannot make the directory \/w\/x in the container: Not a directory$/,
        { workingDirectory: '/w/x' },
        (root) => fs.writeFileSync(`${root}/w`, ''),
      ));
  });

  describe('with mounts', () => {
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
  });
});
