import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { connect, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { addon } from '../../wrapper/addon/addon.js';
import { StowageError } from '../../wrapper/error.js';
import { labelSocket, peerFromLabel, peerOf } from '../../wrapper/rpc/peer.js';
import { listenAt } from '../../wrapper/rpc/unix-socket.js';

const refused = (reason: RegExp) => (error: StowageError) => {
  assert.equal(error.code, 'start-refused', error.stack);
  assert.match(error.message, reason);
  return true;
};

describe('unix sockets', () => {
  let directory: string;
  let path: string;
  const open: Server[] = [];
  const listen = async (onConnection: (socket: Socket) => void = () => undefined): Promise<Server> => {
    const server = await listenAt(path, 0o666, onConnection);
    open.push(server);
    return server;
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-socket-'));
    path = join(directory, 'run/api.sock');
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
    await rm(directory, { recursive: true });
  });

  it('are open to everybody, and gone when closed', async () => {
    const server = await listen();
    assert.equal(statSync(path).mode & 0o777, 0o666);
    await new Promise((resolve) => server.close(resolve));
    assert.equal(existsSync(path), false);
  });

  it('replace what a crash left behind', async () => {
    path = join(directory, 'api.sock');
    const crash = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    assert.throws(() => execFileSync(process.execPath, ['-e', crash]));
    assert.ok(statSync(path).isSocket());
    await listen();
  });

  it('do not push out a daemon that listens', async () => {
    await listen();
    await assert.rejects(listen(), refused(/another stowaged listens/));
    assert.ok(existsSync(path));
  });

  it('do not remove what is not a socket', async () => {
    path = join(directory, 'squatted');
    await writeFile(path, 'mine');
    await assert.rejects(listen(), refused(/is in the way: it is not a socket/));
    assert.equal(statSync(path).size, 4);
  });

  it('do not follow a link', async () => {
    const target = join(directory, 'target');
    path = join(directory, 'link');
    await symlink(target, path);
    await assert.rejects(listen(), refused(/is not a socket/));
    assert.equal(existsSync(target), false);
  });

  it('say that a path is too long', async () => {
    path = `/${'x'.repeat(107)}`;
    await assert.rejects(listen(), refused(/108 bytes, and 107 are the most/));
  });

  it('know who connected, and refuse to know who did not', async () => {
    const accepted = new Promise<Socket>((resolve) => void listen(resolve).then(() => connect(path)));
    const socket = await accepted;
    const peer = peerOf(socket);
    assert.deepEqual(peer, { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
    labelSocket(socket, peer);
    assert.deepEqual(peerFromLabel(socket.remoteAddress ?? ''), peer);
    socket.destroy();
    assert.throws(() => peerOf(socket), /closed/);
    for (const label of ['unknown', '', 'peer 1 2', 'peer 1 -1 0', '127.0.0.1:80']) {
      assert.throws(() => peerFromLabel(label), /cannot tell who called/);
    }
  });
});

describe('the addon', () => {
  it("fails as Node's own functions do", () => {
    assert.throws(() => addon.openTemporary('/nonexistent'), {
      code: 'ENOENT',
      errno: -2,
      syscall: 'open',
      path: '/nonexistent',
    });
    assert.throws(() => addon.peerCredentials(0x7fffffff), { code: 'EBADF', syscall: 'getsockopt' });
    assert.throws(() => addon.sendDescriptors(0x7fffffff, 0, [0]), { code: 'EBADF', syscall: 'sendmsg' });
    assert.throws(() => addon.sendDescriptors(0, 0, []), { code: 'EINVAL' });
    assert.throws(() => addon.sendDescriptors(0, 0, Array<number>(254).fill(0)), { code: 'EINVAL' });
  });

  it('takes nothing but what it was made for', () => {
    assert.throws(() => addon.peerCredentials(-1), TypeError);
    assert.throws(() => addon.openTemporary('/tmp\0/x'), TypeError);
    assert.throws(() => addon.lockFile('x' as unknown as number, true), TypeError);
  });
});
