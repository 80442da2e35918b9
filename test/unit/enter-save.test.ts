import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';

import type { PrepareRequestMessage, PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import { waitFor } from '../cluster/wait.js';
import {
  type Container,
  eachInEnterSandbox,
  endOf,
  type EnterOptions,
  isRunning,
} from '../support/enter-sandbox.js';
import { listenGrpc, welcome } from '../support/fake-daemon.js';
import { ordinaryUser } from '../unpack/sandbox.js';

type Plan = NonNullable<PrepareResponseMessage['plan']>;

const accounts = 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\n';

describe('stowage-enter, saving the container', () => {
  const sandbox = eachInEnterSandbox();
  let directory: string;
  let steps: ChildProcess[];
  let plan: Plan;
  let request: PrepareRequestMessage | undefined;
  /** What was said in the step's output. */
  let said: string;

  beforeEach(async () => {
    steps = [];
    said = '';
    directory = `${sandbox().directory}/saved`;
    fs.mkdirSync(directory);
    fs.mkdirSync(`${sandbox().directory}/host`);
    fs.writeFileSync(`${sandbox().directory}/host/secret`, 'of the host');
    sandbox().giveToUser(directory);
    const imageDigest = sandbox().makeTree((root) => {
      for (const name of ['etc', 'data']) fs.mkdirSync(`${root}/${name}`);
      fs.copyFileSync('/bin/busybox', `${root}/busybox`);
      fs.writeFileSync(`${root}/etc/passwd`, accounts);
      fs.writeFileSync(`${root}/gone`, 'a rank removes this');
      fs.writeFileSync(`${root}/kept`, 'of the image');
      fs.mkdirSync(`${root}/replaced`);
      fs.writeFileSync(`${root}/replaced/old`, 'hidden by an opaque directory');
    });
    plan = {
      imageDigest,
      workingDirectory: '/',
      mounts: [{ source: `${sandbox().directory}/host`, target: '/data' }],
      environment: [
        { name: 'PATH', value: '/bin' },
        { name: 'STOWAGE_IMAGE', value: 'x' },
      ],
      config: {
        workingDirectory: '/srv',
        entrypoint: ['/entry'],
        command: ['a b'],
        platform: 'linux/arm64/v8',
        user: '7',
      },
    };
    await sandbox().serve(
      listenGrpc(sandbox().socket, (call) => {
        request = call.request;
        call.write(welcome);
        call.write({ plan });
        call.end();
      }),
    );
  });
  afterEach(async () => {
    for (const step of steps) step.kill('SIGKILL');
    await Promise.all(steps.map(({ pid }) => endOf(pid ?? 0)));
  });

  const saving = (file: string, more: EnterOptions = {}): EnterOptions => ({
    ...more,
    chdir: more.chdir ?? directory,
    options: ['--option', `save=${file}`, ...(more.options ?? [])],
  });

  const start = async (file: string, more?: EnterOptions): Promise<Container> => {
    const slurmstepd = spawn('sleep', ['600'], { stdio: 'ignore' });
    steps.push(slurmstepd);
    return sandbox().succeed({ ...saving(file, more), lifeline: slurmstepd.pid ?? 0 });
  };

  /** As a rank would, with / the container's. */
  const run = ({ holder }: Container, script: string): void => {
    const { status, stderr } = spawnSync(
      'nsenter',
      ['-t', `${holder}`, '-U', '-m', '--preserve-credentials', '/busybox', 'sh', '-ec', script],
      { ...ordinaryUser, encoding: 'utf8' },
    );
    assert.equal(status, 0, stderr);
  };

  /** What the last rank of a node does. */
  const endRanks = (saver: number): ChildProcess => {
    const script = `exec 5>/proc/${saver}/fd/1 6</proc/${saver}/fd/3; printf x >&5; exec cat <&6`;
    const child = spawn('sh', ['-c', script], { ...ordinaryUser, stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    steps.push(child);
    return child;
  };
  /** Whether the file is in place. */
  const save = async (container: Container): Promise<boolean> => {
    await once(endRanks(container.saver), 'close');
    await endOf(container.saver);
    const whole = said.endsWith('\0');
    if (whole) assert.equal(said, '\0');
    return whole;
  };

  const change = `
cd /; echo new >new; rm gone; rm -r replaced; mkdir replaced; echo fresh >replaced/new
echo changed >>kept; ln new hard; ln -s new soft; mkdir dir; chmod 710 dir; echo x >dir/closed; chmod 000 dir/closed
mkdir shut; echo y >shut/in; chmod 000 shut; chmod 4755 busybox || true; echo more:x:5:5::/:/bin/sh >>etc/passwd`;

  /** Path, mode and content of everything. */
  const contentOf = (root: string): Record<string, string> =>
    Object.fromEntries(
      execFileSync('find', ['.', '-printf', '%P|%M|%l\\n'], { cwd: root, encoding: 'utf8' })
        .trimEnd()
        .split('\n')
        .map((line) => {
          const [name = '', mode = '', target = ''] = line.split('|');
          const content = mode.startsWith('-') ? fs.readFileSync(`${root}/${name}`, 'latin1') : target;
          return [name, `${mode} ${name === 'busybox' ? 'busybox' : content}`];
        }),
    );

  const expectChanged = (root: string): void => {
    const content = contentOf(root);
    const busyboxMode = content['busybox'];
    delete content['busybox'];
    assert.match(busyboxMode ?? '', / busybox$/);
    assert.deepEqual(content, {
      '': content[''],
      data: 'drwxr-xr-x ',
      dir: 'drwx--x--- ',
      'dir/closed': '---------- x\n',
      etc: 'drwxr-xr-x ',
      'etc/passwd': `-rw-r--r-- ${accounts}more:x:5:5::/:/bin/sh\n`,
      hard: '-rw-r--r-- new\n',
      kept: '-rw-r--r-- of the imagechanged\n',
      new: '-rw-r--r-- new\n',
      replaced: 'drwxr-xr-x ',
      'replaced/new': '-rw-r--r-- fresh\n',
      shut: 'd--------- ',
      'shut/in': '-rw-r--r-- y\n',
      soft: 'lrwxrwxrwx new',
    });
    assert.equal(fs.statSync(`${root}/new`).ino, fs.statSync(`${root}/hard`).ino);
    assert.equal(fs.statSync(`${root}/shut/in`).uid, 0);
  };

  const unsquash = (file: string): string => {
    const root = `${sandbox().directory}/root`;
    execFileSync('unsquashfs', ['-quiet', '-no-progress', '-dest', root, file]);
    return root;
  };

  for (const name of ['x.sqsh', 'x.squashfs'])
    it(`writes what ranks left to ${name}`, async () => {
      const container = await start(name);
      assert.ok(isRunning(container.saver));
      run(container, change);
      assert.deepEqual(fs.readdirSync(directory), []);
      assert.ok(await save(container));
      assert.deepEqual(fs.readdirSync(directory), [name]);
      expectChanged(unsquash(`${directory}/${name}`));
    });

  it('tells stowaged, which may refuse it', async () => {
    await start('x.tar');
    const options = request?.options.map(({ name, value }) => [name, value]);
    assert.deepEqual(options, [['save', 'x.tar']]);
  });

  it('writes an OCI archive that skopeo reads, with the configuration of the image', async () => {
    const container = await start('x.tar');
    run(container, change);
    assert.ok(await save(container));
    const oci = `${sandbox().directory}/oci`;
    execFileSync('skopeo', ['copy', '--quiet', `oci-archive:${directory}/x.tar`, `oci:${oci}:saved`]);
    const config = JSON.parse(
      execFileSync('skopeo', ['inspect', '--config', `oci:${oci}:saved`], { encoding: 'utf8' }),
    ) as Record<string, unknown>;
    assert.deepEqual(
      [config['architecture'], config['os'], config['variant'], config['config']],
      [
        'arm64',
        'linux',
        'v8',
        { User: '7', Env: ['PATH=/bin'], Entrypoint: ['/entry'], Cmd: ['a b'], WorkingDir: '/srv' },
      ],
    );
    const layout = `${sandbox().directory}/layout`;
    const root = `${sandbox().directory}/root`;
    for (const name of [layout, root]) fs.mkdirSync(name);
    execFileSync('tar', ['-xf', `${directory}/x.tar`, '-C', layout]);
    const [largest] = execFileSync('ls', ['-S', `${layout}/blobs/sha256`], { encoding: 'utf8' }).split('\n');
    execFileSync('tar', ['-xpf', `${layout}/blobs/sha256/${largest}`, '-C', root]);
    expectChanged(root);
  });

  const readers: [name: string, read: (file: string) => string][] = [
    ['x.sqsh', (file) => unsquash(file)],
    [
      'x.tar',
      (file) => {
        const oci = `${sandbox().directory}/oci`;
        execFileSync('skopeo', ['copy', '--quiet', `oci-archive:${file}`, `oci:${oci}:saved`]);
        execFileSync('umoci', ['raw', 'unpack', '--image', `${oci}:saved`, `${sandbox().directory}/root`]);
        return `${sandbox().directory}/root`;
      },
    ],
  ];
  for (const [name, read] of readers) {
    it(`keeps attributes of users in ${name}, and none of the overlay`, async () => {
      const container = await start(name);
      run(container, 'cd /; echo x >kept; rm -r replaced; mkdir replaced');
      const set = spawnSync('setfattr', ['-n', 'user.a', '-v', 'b', `${container.root}/kept`], ordinaryUser);
      assert.equal(set.status, 0);
      assert.ok(await save(container));
      const root = read(`${directory}/${name}`);
      const seen = execFileSync('getfattr', ['-dm-', 'kept', 'replaced'], { cwd: root, encoding: 'utf8' });
      assert.equal(seen, '# file: kept\nuser.a="b"\n\n');
    });

    it(`keeps the bytes of names in ${name}, whatever letters they are of`, async () => {
      const container = await start(name);
      const [utf8, latin1] = ['F\u0151', '\\377\\376'];
      run(
        container,
        `cd /; echo x >'${utf8}'; echo y >$(printf '${latin1}'); ln -s $(printf '${latin1}') link`,
      );
      assert.ok(await save(container), said);
      const root = read(`${directory}/${name}`);
      const bytes = Buffer.concat([Buffer.from(`${root}/`), Buffer.of(0xff, 0xfe)]);
      assert.equal(fs.readFileSync(`${root}/${utf8}`, 'utf8'), 'x\n');
      assert.equal(fs.readFileSync(bytes, 'utf8'), 'y\n');
      assert.deepEqual(fs.readlinkSync(`${root}/link`, 'buffer'), Buffer.of(0xff, 0xfe));
    });
  }

  it('replaces a file that is there, and only when the new one is whole', async () => {
    fs.writeFileSync(`${directory}/x.sqsh`, 'old');
    const container = await start(`${directory}/x.sqsh`, { chdir: '/' });
    assert.equal(fs.readFileSync(`${directory}/x.sqsh`, 'utf8'), 'old');
    assert.ok(await save(container));
    unsquash(`${directory}/x.sqsh`);
  });

  it("puts a path that begins with ~/ into the user's home directory", async () => {
    fs.mkdirSync(sandbox().home, { recursive: true });
    sandbox().giveToUser(sandbox().home);
    const container = await start('~/x.sqsh');
    assert.ok(await save(container));
    assert.ok(fs.existsSync(`${sandbox().home}/x.sqsh`));
  });

  it('leaves no file when the step is cancelled while ranks run', async () => {
    const container = await start('x.sqsh');
    steps[0]?.kill('SIGKILL');
    await endOf(container.saver);
    assert.deepEqual(fs.readdirSync(directory), []);
  });

  it('leaves what is there when it is cancelled while it saves', async () => {
    fs.writeFileSync(`${directory}/x.sqsh`, 'old');
    const container = await start('x.sqsh');
    const fill = 'head -c 300000000 /dev/urandom >"$0"';
    assert.equal(spawnSync('sh', ['-c', fill, `${container.root}/large`], ordinaryUser).status, 0);
    const waiting = endRanks(container.saver);
    await waitFor(() => childrenOf(container.saver).length > 0, {
      failure: 'nothing saves',
      timeoutMs: 5000,
    });
    waiting.kill('SIGKILL');
    await endOf(container.saver);
    assert.ok(fs.readFileSync(`${directory}/x.sqsh`).equals(Buffer.from('old')));
    assert.deepEqual(fs.readdirSync(directory), ['x.sqsh']);
  });
  const childrenOf = (pid: number): string[] =>
    fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);

  it('says so when it cannot be saved, and leaves what is there', async () => {
    fs.writeFileSync(`${directory}/x.tar`, 'old');
    const container = await start('x.tar');
    run(container, 'echo >/dir.wh. ; echo >/.wh.kept');
    assert.ok(!(await save(container)));
    assert.equal(
      said,
      `stowage: node1: --image-save: ${directory}/x.tar was not written: the container's /.wh.kept cannot be saved in an OCI image, where names that begin with .wh. have another meaning; remove it, or save to a squashfs file\n`,
    );
    assert.equal(fs.readFileSync(`${directory}/x.tar`, 'utf8'), 'old');
    assert.deepEqual(fs.readdirSync(directory), ['x.tar']);
  });

  it('does not write over a directory that came meanwhile', async () => {
    const container = await start('x.sqsh');
    fs.mkdirSync(`${directory}/x.sqsh`);
    assert.ok(!(await save(container)));
    assert.equal(
      said,
      `stowage: node1: --image-save: ${directory}/x.sqsh was not written: a directory is there, which is not replaced; remove it, or choose another name\n`,
    );
    assert.deepEqual(fs.readdirSync(`${directory}/x.sqsh`), []);
    assert.deepEqual(fs.readdirSync(directory), ['x.sqsh']);
  });

  it('saves a container with a name that runs, and one that was kept', async () => {
    const named = { options: ['--option', 'name=x'] };
    const first = await start('first.sqsh', named);
    run(first, 'echo 1 >/one');
    const second = await start('second.sqsh', named);
    assert.ok(await save(first));
    said = '';
    run(second, 'echo 2 >/two');
    assert.ok(await save(second));
    const root = unsquash(`${directory}/second.sqsh`);
    assert.equal(fs.readFileSync(`${root}/one`, 'utf8'), '1\n');
    assert.equal(fs.readFileSync(`${root}/two`, 'utf8'), '2\n');
    assert.deepEqual(fs.readdirSync(`${root}/data`), []);
    assert.equal(fs.readFileSync(`${root}/etc/passwd`, 'utf8'), accounts);
  });

  /** Changes the image before it is used. */
  const changeImage = (change: (root: string) => void): void => {
    const root = `${sandbox().store}/${String(plan.imageDigest).replace(':', '-')}`;
    change(root);
    sandbox().giveToUser(root);
  };

  it("keeps the modes of the image's account files, and those that ranks chose", async () => {
    changeImage((root) => {
      fs.chmodSync(`${root}/etc/passwd`, 0o600);
      fs.writeFileSync(`${root}/etc/group`, 'root:x:0:\n', { mode: 0o600 });
    });
    const container = await start('x.sqsh');
    run(container, 'chmod 640 /etc/group');
    assert.ok(await save(container));
    const root = unsquash(`${directory}/x.sqsh`);
    const modeOf = (name: string): number => fs.statSync(`${root}/etc/${name}`).mode & 0o7777;
    assert.deepEqual([modeOf('passwd'), modeOf('group')], [0o600, 0o640]);
    assert.equal(fs.readFileSync(`${root}/etc/passwd`, 'utf8'), accounts);
  });

  const settingOfApt = 'etc/apt/apt.conf.d/99stowage-root';
  for (const [what, change, left] of [
    ['leaves out what --image-root tells apt', ':', false],
    ['keeps it if a rank has changed it', `echo '// mine' >>/${settingOfApt}`, true],
  ] as const)
    it(what, async () => {
      plan = { ...plan, rootUser: true };
      changeImage((root) => fs.mkdirSync(`${root}/etc/apt`));
      const container = await start('x.sqsh');
      assert.ok(fs.existsSync(`${container.root}/${settingOfApt}`));
      run(container, change);
      assert.ok(await save(container));
      assert.equal(fs.existsSync(`${unsquash(`${directory}/x.sqsh`)}/${settingOfApt}`), left);
    });

  it('saves on the first node of a step only', async () => {
    const container = await start('x.sqsh', { environment: { SLURM_NODEID: '1' } });
    assert.equal(container.saver, 0);
  });

  it('is not minded by signals that the ranks get', async () => {
    const container = await start('x.sqsh');
    for (const signal of ['SIGTERM', 'SIGUSR1', 'SIGINT', 'SIGHUP'] as const)
      process.kill(container.saver, signal);
    assert.ok(await save(container));
  });

  for (const [what, file, sentence, prepare] of [
    ['a directory', 'x.sqsh', /a directory is there/, (path: string) => fs.mkdirSync(path)],
    ['a link', 'x.tar', /a symbolic link is there/, (path: string) => fs.symlinkSync('/etc/passwd', path)],
    ['a FIFO', 'x.tar', /no regular file/, (path: string) => execFileSync('mkfifo', [path])],
    ['a missing directory', 'no/x.tar', /cannot open the directory .*: No such file/, undefined],
    ['a directory of another user', '/etc/x.tar', /cannot write to its directory: Permission/, undefined],
    ['a name without a format', 'x.img', /must end in \.sqsh or \.squashfs.*\.tar/, undefined],
  ] as const)
    it(`refuses ${what} before anything is prepared`, async () => {
      prepare?.(`${directory}/${file}`);
      const { reply, status } = await sandbox().enter(saving(file));
      assert.match(reply, sentence);
      assert.match(reply, /^E--image-save=[^\0]*\0$/);
      assert.equal(status, 1);
      assert.ok(!fs.readdirSync(directory).some((name) => name.endsWith('.part')));
    });
});
