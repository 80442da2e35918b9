/** The commands that ask the daemon of the node, as an ordinary user; the daemon is another one's. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { Server, ServerCredentials } from '@grpc/grpc-js';

import { parseReference } from '../../wrapper/image/reference.js';
import type { Image } from '../../wrapper/image/image.js';
import { release } from '../../wrapper/package-root.js';
import { imageService, nodeService } from '../../wrapper/rpc/definitions.js';
import { Catalog } from '../../wrapper/store/catalog.js';
import { logTo } from '../../wrapper/telemetry/log.js';
import { sha256 } from '../support/fault-registry.js';
import { TestDaemon } from '../support/test-daemon.js';
import { ordinaryUser } from '../unpack/sandbox.js';
import { eachInCliSandbox, outcomeOf, tarOf } from './sandbox.js';

const uid = ordinaryUser?.uid ?? process.getuid?.() ?? -1;
const shared = tarOf({ 'etc/motd': 'in both images\n' });
const lower = tarOf({ 'usr/bin/app': 'x'.repeat(50_000) });
const other = tarOf({ 'usr/bin/other': 'y'.repeat(20_000) });

describe('stowage with the daemon of the node', () => {
  const sandbox = eachInCliSandbox();
  let daemon: TestDaemon;
  let app: string;
  let digest: string;
  const socket = (): string => `${daemon.directory}/api.sock`;
  const stowage = (command: string, ...args: string[]) =>
    sandbox().succeed(command, '--socket', socket(), ...args);
  const json = async (...args: [string, ...string[]]): Promise<Record<string, unknown>> =>
    JSON.parse((await stowage(...args, '--json')).stdout) as Record<string, unknown>;
  const listed = async (...args: string[]): Promise<Record<string, unknown>[]> =>
    (await json('images', ...args))['images'] as Record<string, unknown>[];
  const blobs = (): string[] => readdirSync(`${daemon.directory}/store/blobs/sha256`);
  const isHere = (bytes: Buffer): boolean =>
    existsSync(`${daemon.directory}/store/blobs/sha256/${sha256(bytes).replace('sha256:', '')}`);

  beforeEach(async () => {
    daemon = await TestDaemon.start();
    chmodSync(daemon.directory, 0o711);
    app = `${daemon.registry.host}/team/app:1`;
    digest = daemon.registry.addImage('team/app', '1', { layers: [shared, lower] });
    daemon.registry.addImage('team/other', '1', { layers: [shared, other] });
  });
  afterEach(() => daemon.end());

  /** As another user would have made the daemon remember it. */
  async function known(owner: number, name: string, layers: Buffer[], ageMs = 0): Promise<void> {
    await daemon.stopDaemon();
    const catalog = await Catalog.open(
      `${daemon.directory}/store`,
      logTo((line) => assert.equal(line, '')),
      {
        now: () => Date.now() - ageMs,
      },
    );
    const reference = parseReference(name);
    const documents = [{ digest: sha256(Buffer.from(name)), size: 10 }];
    catalog.resolved(owner, reference, { digest: documents[0]?.digest ?? '', mediaType: undefined });
    const descriptors = layers.map((bytes) => ({ digest: sha256(bytes), size: bytes.length }));
    catalog.used(owner, reference, {
      digest: documents[0]?.digest,
      documents,
      layers: descriptors,
    } as unknown as Image);
    await catalog.close();
    await daemon.startDaemon();
  }

  it('pulls an image onto the node and prints its digest', async () => {
    const { stdout, stderr } = await stowage('pull', app);
    assert.equal(stdout, `${digest}\n`);
    assert.equal(stderr, `stowage: ${app} is on this node\n`);
    assert.ok(isHere(shared) && isHere(lower));
    daemon.registry.requests.length = 0;
    assert.deepEqual(await stowage('pull', '--quiet', '--pull=missing', app, app), {
      stdout: `${digest}\n${digest}\n`,
      stderr: '',
    });
    assert.equal(daemon.registry.count(/blobs/), 0);
  });

  it('takes the socket from the configuration', async () => {
    const config = sandbox().write('stowage.toml', `[listen]\nsocket = "${socket()}"\n`);
    const { stdout } = await sandbox().succeed('pull', '--config', config, app);
    assert.equal(stdout, `${digest}\n`);
  });

  it('lists what the user pulled, the last used first', async () => {
    assert.equal((await stowage('images')).stdout, 'IMAGE  DIGEST  SIZE  HERE  USED\n');
    await stowage('pull', app);
    const { stdout } = await stowage('images');
    const size = `${((shared.length + lower.length) / 1000).toFixed(1)} kB`;
    const [headings, line = [], ...more] = stdout.split('\n').map((row) => row.split(/ {2,}/));
    assert.deepEqual(headings, ['IMAGE', 'DIGEST', 'SIZE', 'HERE', 'USED']);
    assert.deepEqual(line.slice(0, 4), [app, digest.slice(0, 19), size, '100%']);
    assert.match(line[4] ?? '', /^(just now|1 minute ago)$/);
    assert.deepEqual(more, [['']]);

    const [image, ...others] = await listed();
    assert.ok(image);
    const { resolved, used, ...facts } = image;
    const bytes = shared.length + lower.length;
    assert.deepEqual(facts, {
      ...{ reference: app, digest, size_bytes: bytes, present_bytes: bytes, uid },
    });
    assert.ok(Math.abs(Date.parse(String(resolved)) - Date.now()) < 600_000);
    assert.ok(Math.abs(Date.parse(String(used)) - Date.now()) < 600_000);
    assert.deepEqual(others, []);
  });

  // Who runs the daemon is an administrator of it.
  if (ordinaryUser !== undefined) {
    it('does not show or take what another user has here', async () => {
      await known(4242, `${daemon.registry.host}/secret/plan:1`, [lower]);
      await stowage('pull', `${daemon.registry.host}/team/other:1`);
      assert.deepEqual(
        (await listed()).map(({ reference }) => reference),
        [`${daemon.registry.host}/team/other:1`],
      );
      const denied =
        /^stowage: images of all users are for root and the user with uid \d+; leave --all-users out/;
      await sandbox().refuse(denied, 1, 'images', '--all-users', '--socket', socket());
      await sandbox().refuse(denied, 1, 'prune', '--all-users', '--socket', socket());
      await sandbox().refuse(
        /^stowage: image \S+\/secret\/plan:1 is not known on this node; "stowage images" lists what is\n$/,
        1,
        ...['prune', '--socket', socket(), `${daemon.registry.host}/secret/plan:1`],
      );
      const names = (await daemonsOwnView()).map(({ canonicalReference }) => canonicalReference);
      assert.deepEqual(names.sort(), [
        `${daemon.registry.host}/secret/plan:1`,
        `${daemon.registry.host}/team/other:1`,
      ]);
    });
  }

  /** What an administrator sees: this process is one, as the daemon runs in it. */
  function daemonsOwnView(): Promise<{ canonicalReference?: string | null }[]> {
    const { path, requestSerialize, responseDeserialize } = nodeService.listImages;
    return new Promise((resolve, reject) => {
      daemon.grpc.makeUnaryRequest(
        ...([path, requestSerialize, responseDeserialize, { allUsers: true }] as const),
        (error, response) => (error ? reject(error) : resolve(response?.images ?? [])),
      );
    });
  }

  it('prunes what nobody else needs, and keeps what others share', async () => {
    await stowage('pull', app, `${daemon.registry.host}/team/other:1`);
    await known(4242, `${daemon.registry.host}/their/own:1`, [shared]);
    const before = blobs();
    const dry = await stowage('prune', '--dry-run');
    assert.match(dry.stdout, /\nwould forget 2 images, and free \d+\.\d kB in 6 blobs\n$/);
    assert.deepEqual([blobs(), (await listed()).length], [before, 2]);

    const { stdout } = await stowage('prune', app);
    assert.match(
      stdout,
      /^IMAGE .*\n\S+\/team\/app:1 .* 100% .*\nforgot 1 image, and freed 6\d\.\d kB in 3 blobs\n$/,
    );
    assert.deepEqual([isHere(shared), isHere(lower), isHere(other)], [true, false, true]);
    assert.deepEqual(
      (await listed()).map(({ reference }) => reference),
      [`${daemon.registry.host}/team/other:1`],
    );

    assert.match((await stowage('prune')).stdout, /forgot 1 image, and freed 3\d\.\d kB in 3 blobs\n$/);
    assert.deepEqual([isHere(shared), isHere(other)], [true, false]);
    assert.equal((await stowage('prune')).stdout, 'forgot 0 images, and freed 0 B in 0 blobs\n');
  });

  it('prunes only what was not used for so long', async () => {
    await known(uid, `${daemon.registry.host}/team/old:1`, [other], 3 * 86_400_000);
    await stowage('pull', app);
    assert.match((await stowage('prune', '--unused-for=4d')).stdout, /^forgot 0 images/);
    assert.match(
      (await stowage('prune', '--unused-for', '2d')).stdout,
      /\n\S+\/team\/old:1 +sha256:\S{12} +\d+\.\d kB +0% +3 days ago\nforgot 1 image, /,
    );
    assert.deepEqual(
      (await listed()).map(({ reference }) => reference),
      [app],
    );
    assert.ok(isHere(lower));
  });

  it('says what it does not know of, and then forgets nothing', async () => {
    await stowage('pull', app);
    await sandbox().refuse(
      /nosuch:1 is not known on this node/,
      1,
      'prune',
      '--socket',
      socket(),
      app,
      'nosuch:1',
    );
    await sandbox().refuse(/"\.\/x\.sif" is a file: only/, 1, 'prune', '--socket', socket(), './x.sif');
    await sandbox().refuse(/image "Nosuch" is not valid/, 1, 'prune', '--socket', socket(), 'Nosuch');
    assert.equal((await listed()).length, 1);
  });

  it('says how the daemon is doing while a slow pull runs, and that Ctrl-C ends it', async () => {
    daemon.registry.inject(/blobs/, { kind: 'trickle', bytesPerSecond: 2000 }, 99);
    const child = sandbox().start(['pull', '--socket', socket(), app]);
    const ended = outcomeOf(child);
    const total = shared.length + lower.length;
    let status: Record<string, unknown> = {};
    const request = (): Record<string, unknown> | undefined =>
      (status['requests'] as Record<string, unknown>[])[0];
    do status = await json('status');
    while (Number(request()?.['done_bytes'] ?? 0) === 0);
    const { reference, phase, done_bytes: done, total_bytes, prefetch, job_id, uid: whose } = request() ?? {};
    assert.deepEqual(
      { reference, phase, total_bytes, prefetch, job_id, whose },
      { reference: app, phase: 'downloading', total_bytes: total, prefetch: true, job_id: null, whose: uid },
    );
    assert.ok(Number(done) < total);
    assert.equal(status['running_requests'], 1);
    const { stdout } = await stowage('status');
    assert.match(
      stdout,
      new RegExp(`\n${app} +${uid} +prefetch +downloading +\\d+% of ${(total / 1000).toFixed(1)} kB`),
    );
    child.kill('SIGINT');
    assert.deepEqual((await ended).status, 130);
    while ((await json('status'))['running_requests'] !== 0) await sleep(50);
    assert.ok(!isHere(lower));
  });

  it('says how the daemon is doing when there is nothing to do', async () => {
    await stowage('pull', app);
    const report = await json('status');
    const { software, running_requests: running, requests, store, socket: where } = report;
    assert.deepEqual([software, running, requests, where], [`stowaged ${release}`, 0, [], socket()]);
    const { used_bytes: used, used_blobs: count, directory } = store as Record<string, unknown>;
    assert.deepEqual([count, directory], [4, `${daemon.directory}/store`]);
    assert.ok(Number(used) > shared.length + lower.length);
    const { stdout } = await stowage('status');
    assert.match(stdout, new RegExp(`^daemon +stowaged ${release}, protocol \\d+, running for \\d+ \\w+\n`));
    assert.match(
      stdout,
      /\nused +\d+\.\d kB in 4 blobs\nfree +\S+ \S+\nrequests +0 under way, 0 of them waiting\n$/,
    );
  });

  it('says why an image cannot be pulled, in the words of the daemon', async () => {
    await sandbox().refuse(
      /^stowage: image \S+\/team\/nosuch:1 not found: registry /,
      1,
      ...['pull', '--socket', socket(), `${daemon.registry.host}/team/nosuch:1`],
    );
    await sandbox().refuse(/^stowage: "\.\/x" is in your own files/, 1, 'pull', '--socket', socket(), './x');
  });

  for (const command of [['images'], ['status'], ['prune'], ['pull', 'x']] as const) {
    it(`says where to go when no daemon is there: ${command.join(' ')}`, async () => {
      await sandbox().refuse(
        /^stowage: no stowaged listens on \/nonexistent\/api\.sock of \S+; login nodes have none: run this in a job, as in "srun stowage images"; if this is a compute node/,
        1,
        ...[...command, '--socket', '/nonexistent/api.sock'],
      );
    });
  }

  it('tells a daemon that has ended from one that is somebody else’s', async () => {
    const left = sandbox().path('left.sock');
    const server = createServer().listen(left);
    await new Promise((resolve) => server.once('listening', resolve));
    chmodSync(left, 0o600);
    const denied = /^stowage: stowaged cannot be asked on \S+ \(it is not open to you\)/;
    if (ordinaryUser) await sandbox().refuse(denied, 1, 'status', '--socket', left);
    chmodSync(left, 0o666);
    server.on('connection', (connection) => connection.destroy());
    await sandbox().refuse(
      /^stowage: the connection to stowaged on \S+ broke \(/,
      1,
      'status',
      '--socket',
      left,
    );
    await new Promise((resolve) => server.close(resolve));
    await sandbox().refuse(/^stowage: no stowaged listens on /, 1, 'status', '--socket', left);
  });

  it('refuses a daemon of another release', async () => {
    const stranger = new Server();
    stranger.addService(imageService, {
      getVersion: (_: unknown, answer: (error: null, value: object) => void) =>
        answer(null, { server: { protocol: 99, software: 'stowaged 9.9.9' } }),
    });
    const path = `${daemon.directory}/stranger.sock`;
    await new Promise((resolve) =>
      stranger.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), resolve),
    );
    chmodSync(path, 0o666);
    try {
      await sandbox().refuse(
        /^stowage: stowage and stowaged do not fit: .*, stowaged 9\.9\.9 on \S+ speaks 99; install both from one release\n$/,
        1,
        ...['status', '--socket', path],
      );
    } finally {
      stranger.forceShutdown();
    }
  });
});
