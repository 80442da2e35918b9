import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';

import { endOf, gid, type EnterOptions, uid, userName } from '../support/enter-sandbox.js';
import { eachPlanned, type Plan } from '../support/planned-container.js';

/** Of all processes that there are. */
const mountTables = (): string[] =>
  fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => `/proc/${pid}/mountinfo`);

describe('stowage-enter, building a container', () => {
  const planned = eachPlanned();
  const sandbox = () => planned().sandbox;
  let data: string;

  beforeEach(() => {
    data = planned().data;
  });

  const serve = (plan: Plan, build?: (root: string) => void) => planned().serve(plan, build);
  const succeed = (plan: Plan, build?: (root: string) => void, options?: EnterOptions) =>
    planned().succeed(plan, build, options);
  const fail = (sentence: string | RegExp, plan: Plan, build?: (root: string) => void) =>
    planned().fail(sentence, plan, build);

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

  it('sets what the job has not, and leaves what it has', async () => {
    const { environment } = await planned().succeed(
      {
        unsetEnvironment: ['GONE'],
        environment: ['TERM', 'LANG', 'GONE', 'EMPTY'].map((name) => ({ name, value: 'x', unlessSet: true })),
      },
      undefined,
      { environment: { LANG: 'C', GONE: 'y', EMPTY: '' } },
    );
    assert.deepEqual(environment, ['-GONE', '=TERM=x', '=GONE=x']);
  });

  it('tells stowaged which devices Slurm gave to the step, and nothing else of the job', async () => {
    await planned().succeed({}, undefined, {
      environment: { CUDA_VISIBLE_DEVICES: '0,1', SLURM_STEP_GPUS: '', SECRET: 'x', CUDA_HOME: '/x' },
    });
    assert.deepEqual(
      planned().request?.deviceEnvironment.map(({ name, value }) => [name, value]),
      [
        ['SLURM_STEP_GPUS', ''],
        ['CUDA_VISIBLE_DEVICES', '0,1'],
      ],
    );
  });

  describe('with a root directory that is read-only', () => {
    const origin = '--image-mount';

    it('makes nothing else read-only', async () => {
      const { mounts, root } = await succeed({
        readOnlyRoot: true,
        mounts: [{ origin, source: data, target: '/made/data' }],
      });
      assert.ok(mounts.get('/')?.options.includes('ro'));
      assert.ok(mounts.get('/made/data')?.options.includes('rw'));
      assert.match(fs.readFileSync(`${root}/etc/passwd`, 'utf8'), new RegExp(`^${userName}:`));
      assert.throws(() => fs.writeFileSync(`${root}/x`, ''), /EROFS/);
      fs.writeFileSync(`${root}/made/data/x`, '');
    });

    it('is writable unless asked otherwise', async () => {
      const { mounts } = await succeed({});
      assert.ok(mounts.get('/')?.options.includes('rw'));
    });

    it('makes the working directory of the image, but none that was asked for', async () => {
      const { root } = await succeed({ readOnlyRoot: true, workingDirectory: '/w' });
      assert.ok(fs.statSync(`${root}/w`).isDirectory());
    });

    it('refuses to start in a directory that is missing', () =>
      fail(
        'image registry.example/team/app:1: ranks cannot start in /w: the image has no such directory and is ' +
          'read-only; name one that it has, or ask for a writable image',
        { readOnlyRoot: true, workingDirectory: '/w', workingDirectoryAskedFor: true },
      ));

    it('starts in one that is there, or of the host', async () => {
      const { directory } = await succeed({
        readOnlyRoot: true,
        workingDirectory: '/d',
        workingDirectoryAskedFor: true,
        mounts: [{ origin, source: data, target: '/d' }],
      });
      assert.equal(directory, '/d');
    });
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

    it('starts where the user said, whatever else is to be seen', async () => {
      const mounts = [{ source: data, target: data }];
      const plan = { mounts, workingDirectory: '/w/x', workingDirectoryAskedFor: true };
      await serve(plan);
      const { stderr, reply } = await sandbox().enter({ chdir: data });
      assert.match(reply, /\0W\/w\/x\0/);
      assert.equal(stderr, '');
    });

    it('says so where what ranks write would be gone', async () => {
      await serve({ workingDirectory: '/w' });
      const { stderr } = await sandbox().enter({ chdir: data });
      assert.match(
        stderr,
        /data of the host is not shown in the image; ranks start in the image's \/w, and /,
      );
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

    it('refuses one that was asked for and is a file of the image, and says what it was wanted for', () =>
      fail(
        /^image .*: ranks cannot start in \/w: cannot make the directory \/w in the container: Not a directory$/,
        { workingDirectory: '/w', workingDirectoryAskedFor: true },
        (root) => fs.writeFileSync(`${root}/w`, ''),
      ));
  });
});
