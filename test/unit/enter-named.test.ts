import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';

import type { PrepareRequestMessage, PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import {
  eachInEnterSandbox,
  endOf,
  image,
  isRunning,
  type Container,
  type EnterOptions,
} from '../support/enter-sandbox.js';
import { listenGrpc, welcome } from '../support/fake-daemon.js';
import { waitFor } from '../cluster/wait.js';
import { digestOf, ordinaryUser } from '../unpack/sandbox.js';

type Plan = NonNullable<PrepareResponseMessage['plan']>;

describe('stowage-enter, with a name for the container', () => {
  const sandbox = eachInEnterSandbox();
  let plan: Plan;
  let requests: PrepareRequestMessage[];
  let steps: ChildProcess[];

  beforeEach(async () => {
    steps = [];
    requests = [];
    const imageDigest = sandbox().makeTree((root) => {
      fs.mkdirSync(`${root}/etc`);
      fs.copyFileSync('/bin/busybox', `${root}/busybox`);
      fs.writeFileSync(`${root}/etc/motd`, 'of the image\n');
    });
    plan = { imageDigest, workingDirectory: '/' };
    await sandbox().serve(
      listenGrpc(sandbox().socket, (call) => {
        requests.push(call.request);
        call.write(welcome);
        call.write({ plan });
        call.end();
      }),
    );
  });
  afterEach(async () => {
    await Promise.all(steps.map(endStep));
  });

  const endStep = async (step: ChildProcess): Promise<void> => {
    step.kill('SIGKILL');
    if (step.pid !== undefined) await endOf(step.pid);
  };

  interface Given extends EnterOptions {
    /** Besides the name, as `--option` has them. */
    more?: readonly string[];
    pyxis?: boolean;
  }

  const optionsFor = (name: string, { more = [], pyxis = false }: Given = {}): string[] => [
    ...(pyxis ? ['--pyxis'] : []),
    ...[`name=${name}`, ...more].flatMap((option) => ['--option', option]),
  ];

  /** A step with the container, which lasts until end() is called. */
  const start = async (
    name: string,
    given: Given = {},
  ): Promise<Container & { end: () => Promise<void> }> => {
    const slurmstepd = spawn('sleep', ['600'], { stdio: 'ignore' });
    steps.push(slurmstepd);
    assert.ok(slurmstepd.pid);
    const container = await sandbox().succeed({
      ...given,
      lifeline: slurmstepd.pid,
      options: optionsFor(name, given),
    });
    const end = async (): Promise<void> => {
      await endStep(slurmstepd);
      await endOf(container.holder);
    };
    return { ...container, end };
  };
  const refuse = (name: string, sentence: string | RegExp, given: Given = {}) =>
    sandbox().fail(sentence, { ...given, options: optionsFor(name, given) });

  /** As a rank would. */
  const write = ({ root }: Container, name: string, text: string): void => {
    const { status, stderr } = spawnSync('sh', ['-c', 'printf %s "$1" >"$0"', `${root}${name}`, text], {
      ...ordinaryUser,
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
  };
  const read = ({ root }: Container, name: string): string => fs.readFileSync(`${root}${name}`, 'utf8');
  const namespaceOf = ({ holder }: Container): string => fs.readlinkSync(`/proc/${holder}/ns/mnt`);
  const layer = (name: string): string => `${sandbox().store}/named/7/${name}/upper`;
  /** Whether the layer of x is mounted where the process lives. */
  const uses = ({ pid }: { pid?: number | undefined }): boolean => {
    try {
      return fs.readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(`upperdir=${layer('x')},`);
    } catch {
      return false;
    }
  };

  it('keeps what was written for later steps, which need no image', async () => {
    const first = await start('x');
    assert.equal(first.entry, 'k');
    write(first, '/new', 'of the first step');
    write(first, '/etc/motd', 'changed');
    fs.rmSync(`${first.root}/etc/passwd`);
    await first.end();
    const second = await start('x', { withoutImage: true });
    assert.equal(read(second, '/new'), 'of the first step');
    assert.equal(read(second, '/etc/motd'), 'changed');
    assert.match(read(second, '/etc/passwd'), /^user|^[a-z]/);
    assert.equal(requests.at(-1)?.reference, image);
  });

  it('joins it while it runs', async () => {
    const first = await start('x');
    const second = await start('x');
    assert.equal(namespaceOf(second), namespaceOf(first));
    assert.notEqual(second.holder, first.holder);
    write(first, '/new', 'seen by both');
    assert.equal(read(second, '/new'), 'seen by both');
  });

  it('tells stowaged, which may refuse it, of each step', async () => {
    await start('x');
    await start('x:exec', { withoutImage: true });
    assert.deepEqual(
      requests.map(({ options }) => options.map(({ name, value }) => [name, value])),
      [[['name', 'x']], [['name', 'x:exec']]],
    );
  });

  it('goes on running when the step that started it has ended, and is joined then', async () => {
    const first = await start('x');
    const second = await start('x');
    await first.end();
    const third = await start('x:exec', { withoutImage: true });
    assert.equal(namespaceOf(third), namespaceOf(second));
    await third.end();
    assert.ok(isRunning(second.holder));
  });

  it('starts it once for steps that begin at the same time', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => start('x')));
    assert.equal(new Set(all.map(namespaceOf)).size, 1);
  });

  it('keeps containers of other names, of other jobs and without a name apart', async () => {
    const containers = [
      await start('x'),
      await start('y'),
      await start('x', { job: 8 }),
      await sandbox().succeed(),
    ];
    assert.equal(new Set(containers.map(namespaceOf)).size, 4);
    for (const [index, container] of containers.entries()) write(container, '/which', `${index}`);
    assert.deepEqual(
      containers.map((container) => read(container, '/which')),
      ['0', '1', '2', '3'],
    );
    assert.equal(containers[3]?.entry, '');
  });

  it('starts it anew with no_exec, and with create makes it', async () => {
    const made = await start('x:create');
    write(made, '/new', 'kept');
    await made.end();
    const anew = await start('x:no_exec');
    assert.equal(read(anew, '/new'), 'kept');
  });

  it('refuses what the mode does not allow', async () => {
    await (await start('other')).end();
    await refuse('x:exec', /^container 'x': it is not running on this node; .*leave ':exec' out$/);
    const running = await start('x');
    await refuse('x:create', /^container 'x': this job has it already/);
    await refuse('x:no_exec', /^container 'x': it is running on this node, .*':no_exec'/);
    await running.end();
    await refuse('x:create', /^container 'x': this job has it already/);
    await refuse('x:exec', /^container 'x': it is not running/);
  });

  it('refuses a name that no step has made, without an image to make it from', async () => {
    const other = await start('x');
    await other.end();
    await refuse('y', /^container 'y': this job has no such container on this node; say with --image/, {
      withoutImage: true,
    });
    await refuse('x', /^container 'x': this job has no such container/, { withoutImage: true, job: 8 });
    assert.equal(requests.length, 1);
  });

  for (const name of ['.', '..', '../x', 'a/b', '', ':auto', '-x', 'x y', 'x,y', 'a'.repeat(129), 'x\n'])
    it(`refuses the name ${JSON.stringify(name).slice(0, 20)}`, async () => {
      if (name === '') await start('');
      else await refuse(name, /^--image-name: ".*" is no name of a container; that has at most 128 letters/);
      assert.ok(!fs.existsSync(`${sandbox().store}/named`));
    });

  for (const mode of ['', 'Exec', 'exec ', 'auto:auto'])
    it(`refuses the mode '${mode}'`, () =>
      refuse(`x:${mode}`, /^--image-name: ":.*" is unknown; behind the name there are :auto/));

  it('refuses another image than it was made from, naming both digests', async () => {
    const first = await start('x');
    const other = digestOf(Buffer.from('other'));
    fs.cpSync(
      `${sandbox().store}/${(plan.imageDigest ?? '').replace(':', '-')}`,
      `${sandbox().store}/${other.replace(':', '-')}`,
      { recursive: true },
    );
    sandbox().giveToUser(sandbox().store);
    const made = plan.imageDigest ?? '';
    plan = { ...plan, imageDigest: other };
    const sentence = `container 'x' was made from ${image} (${made}), and other:2 is now ${other}; leave --image out to use what is there, or take another name`;
    fs.mkdirSync(`${sandbox().store}/${other.replace(':', '-')}.mount`);
    await refuse('x', sentence, { image: 'other:2' });
    await first.end();
    await refuse('x', sentence, { image: 'other:2' });
  });

  it('is joined as it is by who takes for granted what pyxis does', async () => {
    const first = await start('x', { more: ['home=yes', 'writable=yes'], pyxis: true });
    const joined = await start('x', { more: ['home=no', 'root=yes', 'writable=no'], pyxis: true });
    assert.equal(namespaceOf(joined), namespaceOf(first));
    assert.equal(joined.entry, first.entry);
    await refuse('x', /made without --image-mount '\/c:\/d'/, { more: ['mount=/c:/d'], pyxis: true });
  });

  it('refuses to join with what a running container cannot become', async () => {
    const first = await start('x', { more: ['mount=/a:/b', 'root=yes'] });
    await refuse('x', /^container 'x': it runs already, made without --image-mount '\/c:\/d'/, {
      more: ['mount=/c:/d'],
    });
    await refuse('x', /^container 'x': it runs already, made without --image-root 'no'/, {
      more: ['root=no'],
    });
    await refuse('x', /^container 'x': it runs already, made without --image-unshare 'net'/, {
      more: ['unshare=net'],
    });
    const joined = await start('x', { more: ['mount=/a:/b', 'env=A=B'] });
    assert.equal(namespaceOf(joined), namespaceOf(first));
    // What shapes the container is asked for as it was then.
    assert.deepEqual(
      requests.at(-1)?.options.map(({ name, value }) => `${name}=${value}`),
      ['name=x', 'env=A=B', 'mount=/a:/b', 'root=yes'],
    );
    await first.end();
    await joined.end();
    await start('x', { more: ['mount=/c:/d'] });
    assert.deepEqual(
      requests.at(-1)?.options.map(({ name, value }) => `${name}=${value}`),
      ['name=x', 'mount=/c:/d'],
    );
  });

  it('shows to a running container what the joining step has to see of the host', async () => {
    const first = await start('x');
    const directory = `${sandbox().directory}/pmix`;
    fs.mkdirSync(directory);
    fs.writeFileSync(`${directory}/socket`, 'of the second step');
    plan = { ...plan, mounts: [{ source: directory, target: '/var/pmix', readOnly: true }] };
    const second = await start('x');
    assert.equal(namespaceOf(second), namespaceOf(first));
    assert.equal(read(first, '/var/pmix/socket'), 'of the second step');
    assert.ok(second.mounts.get('/var/pmix')?.options.includes('ro'));
    const third = await start('x');
    assert.equal([...third.mounts.keys()].filter((target) => target === '/var/pmix').length, 1);
    const lines = fs.readFileSync(`/proc/${third.holder}/mountinfo`, 'utf8').match(/ \/var\/pmix /g);
    assert.equal(lines?.length, 1);
  });

  it('never mounts its layer twice, not even when processes outlive their holder', async () => {
    const first = await start('x');
    const stranded = spawn(
      'nsenter',
      ['-t', `${first.holder}`, '-U', '-m', '--preserve-credentials', '/busybox', 'sleep', '600'],
      {
        ...ordinaryUser,
        stdio: 'ignore',
      },
    );
    steps.push(stranded);
    await waitFor(() => uses(stranded), { failure: 'the process is not inside', timeoutMs: 5000 });
    await first.end();
    const later = start('x');
    const early = await Promise.race([
      later.then(() => 'started'),
      new Promise<string>((resolve) => setTimeout(() => resolve('waits'), 500)),
    ]);
    assert.equal(early, 'waits');
    await endStep(stranded);
    assert.notEqual(namespaceOf(await later), '');
  });
  it('does not end with a signal that the ranks of a step get', async () => {
    const first = await start('x');
    for (const signal of ['SIGTERM', 'SIGUSR1', 'SIGINT', 'SIGHUP', 'SIGALRM'] as const)
      process.kill(first.holder, signal);
    const joined = await start('x:exec');
    assert.equal(namespaceOf(joined), namespaceOf(first));
  });

  it('is gone with its job, and so is its image; until then both stay', async () => {
    const first = await start('x');
    write(first, '/new', 'kept');
    await first.end();
    assert.deepEqual(await sandbox().sweep(8), { status: 0, stderr: '' });
    const again = await start('x', { withoutImage: true });
    assert.equal(read(again, '/new'), 'kept');
    await again.end();
    assert.deepEqual(await sandbox().sweep(7), { status: 0, stderr: '' });
    assert.deepEqual(fs.readdirSync(sandbox().store), []);
  });

  it('begins afresh when the step that was to make it failed', async () => {
    const { imageDigest } = plan;
    plan = {
      imageDigest: imageDigest ?? '',
      workingDirectory: '/',
      mounts: [{ source: '/nowhere', target: '/x' }],
    };
    fs.mkdirSync(`${sandbox().store}/${(imageDigest ?? '').replace(':', '-')}.mount`);
    const { status, reply } = await sandbox().enter({ options: optionsFor('x') });
    assert.equal(status, 1, reply);
    plan = { imageDigest: imageDigest ?? '', workingDirectory: '/' };
    await refuse('x', /has no such container/, { withoutImage: true });
    await start('x:create');
  });
});
