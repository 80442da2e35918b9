import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import type { PrepareRequestMessage } from '../../wrapper/rpc/definitions.js';
import { eachInEnterSandbox, image } from '../support/enter-sandbox.js';
import { listenGrpc, type PrepareCall, welcome } from '../support/fake-daemon.js';
import { digestOf, ordinaryUser, until } from '../unpack/sandbox.js';

const imageDigest = digestOf(Buffer.from('prefetched'));

describe('stowage-enter, bringing the image of a job onto the node', () => {
  const sandbox = eachInEnterSandbox();
  let requests: PrepareRequestMessage[];

  const lockOf = (job: number): string => `${sandbox().store}/prefetch-${job}`;
  const prefetch = (job = 7, answer?: number) =>
    sandbox().runAlone(
      [
        ...['--socket', sandbox().socket, '--trees', sandbox().trees, '--image', image],
        ...['--job', String(job), '--prefetch', '--pull', 'missing'],
      ],
      { DOCKER_CONFIG: '/nonexistent', SECRET: 's3cret' },
      'pipe',
      answer,
    );
  /** Both ends of a new pipe. */
  const pipe = (): { reader: number; writer: number } => {
    const name = path.join(sandbox().directory, 'pipe');
    assert.equal(spawnSync('mkfifo', [name]).status, 0);
    const reader = fs.openSync(name, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    return { reader, writer: fs.openSync(name, 'w') };
  };
  const serve = async (handler: (call: PrepareCall) => void): Promise<void> => {
    requests = [];
    await sandbox().serve(
      listenGrpc(sandbox().socket, (call) => {
        requests.push(call.request);
        call.write(welcome);
        handler(call);
      }),
    );
  };
  const begun = () => until('a call has come', () => requests[0]);

  it('asks for it, and leaves nothing', async () => {
    await serve((call) => {
      call.write({ plan: { imageDigest, workingDirectory: '/' } });
      call.end();
    });
    assert.deepEqual(await prefetch(), { status: 0, stdout: '', stderr: '' });
    const [request] = requests;
    assert.ok(request);
    assert.equal(request.reference, image);
    assert.equal(request.prefetch, true);
    assert.equal(request.pull, 1);
    assert.equal(request.job?.jobId, 7);
    assert.equal(request.job.nodeName, 'node1');
    assert.deepEqual(fs.readdirSync(sandbox().store), []);
  });

  it('says which trees there are, so that nothing is downloaded for them', async () => {
    const digest = sandbox().makeTree();
    await serve((call) => call.emit('error', { code: status.NOT_FOUND, details: 'no such image' }));
    const { stderr } = await prefetch();
    assert.equal(stderr, 'stowage-enter: no such image\n');
    assert.deepEqual(requests[0]?.unpackedDigests, [digest]);
  });

  it('unpacks nothing', async () => {
    await serve((call) => call.write({ layers: { imageDigest } }));
    const { stderr } = await prefetch();
    assert.equal(stderr, 'stowage-enter: stowaged sent layers although nothing is to be unpacked\n');
  });

  if (ordinaryUser) {
    it("answers for logins from the user's home, whatever the environment says", async () => {
      const name = `${sandbox().home}/.docker/config.json`;
      fs.mkdirSync(path.dirname(name), { recursive: true });
      const auth = Buffer.from('user:password').toString('base64');
      fs.writeFileSync(name, JSON.stringify({ auths: { 'registry.example': { auth } } }));
      sandbox().giveToUser(sandbox().home);
      await serve((call) => {
        call.write({ loginWanted: { registry: 'registry.example', repository: 'team/app' } });
        call.once('data', ({ login }: PrepareRequestMessage) =>
          call.emit('error', { code: status.NOT_FOUND, details: `${login?.username} ${login?.source}` }),
        );
      });
      assert.equal((await prefetch()).stderr, 'stowage-enter: user ~/.docker/config.json\n');
    });
  }

  if (ordinaryUser) {
    it('lets no other process of the user look at it or make it do anything', async () => {
      await serve(() => undefined);
      const ended = prefetch();
      await begun();
      const pid = fs.readdirSync('/proc').find((name) => {
        try {
          const given = fs.readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
          return given.includes('--prefetch') && given.includes(sandbox().socket);
        } catch {
          // No process, or one that has ended.
          return false;
        }
      });
      // proc(5): of a process that is not dumpable they are root's, and ptrace(2) goes by the same.
      assert.equal(fs.statSync(`/proc/${pid}/mem`).uid, 0);
      await sandbox().sweep(7);
      await ended;
    });
  }

  it('says that it can be ended, by closing a pipe', async () => {
    await serve(() => undefined);
    const { reader, writer } = pipe();
    const ended = prefetch(7, writer);
    fs.closeSync(writer);
    await begun();
    assert.equal(fs.readSync(reader, Buffer.alloc(1)), 0);
    fs.closeSync(reader);
    await sandbox().sweep(7);
    await ended;
  });

  it('asks for nothing if the prolog has gone on before it could be ended', async () => {
    await serve((call) => call.emit('error', { code: status.NOT_FOUND, details: 'no such image' }));
    const { reader, writer } = pipe();
    fs.closeSync(reader);
    const { stderr } = await prefetch(7, writer).finally(() => fs.closeSync(writer));
    assert.equal(stderr, 'stowage-enter: job 7 has gone on without this\n');
    assert.deepEqual(requests, []);
    assert.deepEqual(fs.readdirSync(sandbox().store), []);
  });

  it('is ended by the end of the job', async () => {
    await serve(() => undefined);
    const ended = prefetch();
    await begun();
    assert.ok(fs.existsSync(lockOf(7)));
    assert.deepEqual(await sandbox().sweep(7), { status: 0, stderr: '' });
    assert.equal((await ended).status, null);
    assert.deepEqual(fs.readdirSync(sandbox().store), []);
  });

  it('is not ended by the end of another job of the user', async () => {
    await serve(() => undefined);
    const ended = prefetch();
    await begun();
    await sandbox().sweep(8);
    assert.ok(fs.existsSync(lockOf(7)));
    await sandbox().sweep(7);
    await ended;
  });

  it('leaves a file that nobody holds to the next sweep', async () => {
    fs.writeFileSync(lockOf(9), '');
    sandbox().giveToUser(lockOf(9));
    await sandbox().sweep(7);
    assert.ok(!fs.existsSync(lockOf(9)));
  });

  it('ends nothing if there is nothing to end', async () => {
    assert.deepEqual(await sandbox().sweep(7), { status: 0, stderr: '' });
  });

  it('runs once for a job', async () => {
    await serve(() => undefined);
    const first = prefetch();
    await begun();
    const second = await prefetch();
    assert.match(second.stderr, /^stowage-enter: cannot take the lock .*prefetch-7: /);
    await sandbox().sweep(7);
    await first;
  });

  it('does nothing where the user has no directory', async () => {
    fs.rmSync(sandbox().store, { recursive: true });
    assert.match((await prefetch()).stderr, /^stowage-enter: cannot open the tree store /);
  });
});
