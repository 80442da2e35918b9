import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import type { Socket } from 'node:net';

import { addon } from '../../wrapper/addon/addon.js';
import type { PrepareRequestMessage, PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import { descriptorOf } from '../../wrapper/rpc/peer.js';
import { eachInEnterSandbox, image } from '../support/enter-sandbox.js';
import { listenGrpc, listenRaw, welcome } from '../support/fake-daemon.js';
import { archive, file } from '../support/tar-writer.js';
import { digestOf } from '../unpack/sandbox.js';

type Plan = NonNullable<PrepareResponseMessage['plan']>;

const layers = ['lower', 'upper'].map((content) => archive(file(content, content), file('both', content)));
const imageDigest = digestOf(Buffer.from('manifest'));
const ticket = Buffer.from('a ticket');

describe('stowage-enter, fetching layers', () => {
  const sandbox = eachInEnterSandbox();
  let requests: PrepareRequestMessage[];

  /** A stowaged with this plan, and something on its blob socket. */
  const serve = async (change: Plan = {}, onBlobs?: (socket: Socket) => void): Promise<void> => {
    requests = [];
    const plan: Plan = {
      imageDigest,
      layers: layers.map((layer) => ({
        digest: digestOf(layer),
        diffId: digestOf(layer),
        sizeBytes: layer.length,
      })),
      blobTicket: ticket,
      blobSocket: sandbox().blobSocket,
      workingDirectory: '/',
      budget: { maxBytes: 1_000_000, maxInodes: 1000 },
      ...change,
    };
    await sandbox().serve(
      listenGrpc(sandbox().socket, (call) => {
        requests.push(call.request);
        call.write(welcome);
        call.write({ plan });
        call.end();
      }),
    );
    if (onBlobs) await sandbox().serve(listenRaw(sandbox().blobSocket, onBlobs));
  };
  /** Sends these files with one byte once the ticket came. */
  const handOver =
    (contents: readonly Buffer[], byte = 0) =>
    (socket: Socket): void => {
      socket.once('data', (got) => {
        assert.deepEqual(got, ticket);
        const fds = contents.map((content) => {
          const name = `${sandbox().directory}/blob`;
          fs.writeFileSync(name, content);
          const fd = fs.openSync(name, 'r');
          fs.unlinkSync(name);
          return fd;
        });
        addon.sendDescriptors(descriptorOf(socket), byte, fds);
        for (const fd of fds) fs.closeSync(fd);
      });
    };

  it('unpacks what it is handed', async () => {
    await serve({}, handOver(layers));
    const { root, lock } = await sandbox().succeed();
    assert.equal(fs.readFileSync(`${root}/lower`, 'utf8'), 'lower');
    assert.equal(fs.readFileSync(`${root}/both`, 'utf8'), 'upper');
    const tree = `${sandbox().store}/${imageDigest.replace(':', '-')}`;
    assert.ok(fs.statSync(tree).isDirectory());
    assert.equal(lock, `${tree}.lock`);
    assert.ok(fs.existsSync(lock));
  });

  it('unpacks once for ten steps at once', async () => {
    let handed = 0;
    await serve({}, (socket) => {
      handed++;
      handOver(layers)(socket);
    });
    await Promise.all(Array.from({ length: 10 }, () => sandbox().succeed()));
    assert.equal(handed, 1);
  });

  it('unpacks over what an interrupted step left', async () => {
    const partial = `${sandbox().store}/${imageDigest.replace(':', '-')}.partial`;
    fs.mkdirSync(`${partial}/deep/er`, { recursive: true });
    sandbox().giveToUser(partial);
    await serve({}, handOver(layers));
    const { root } = await sandbox().succeed();
    assert.ok(!fs.existsSync(`${root}/deep`));
  });

  it('finds nobody on the blob socket', async () => {
    await serve();
    await sandbox().fail(
      /^image \S+: stowaged does not run here \(.*\/blobs\.sock: No such file or directory\)/,
    );
  });

  it('has its ticket refused', async () => {
    await serve({}, (socket) => socket.once('data', () => socket.end(Buffer.of(1))));
    await sandbox().fail(`image ${image}: stowaged refused to hand over the layers (0 of 2 came); try again`);
  });

  it('asks anew if its ticket grew too old while another step was at it, in vain', async () => {
    let asked = 0;
    await serve({}, (socket) => {
      if (asked++ > 0) handOver(layers)(socket);
      else socket.once('data', () => socket.end(Buffer.of(1)));
    });
    const lock = `${sandbox().store}/${imageDigest.replace(':', '-')}.lock`;
    fs.writeFileSync(lock, '');
    sandbox().giveToUser(lock);
    const other = spawn('flock', [lock, 'sh', '-c', 'echo locked; sleep 0.5'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(other.stdout, 'data');
    await sandbox().succeed();
    assert.equal(requests.length, 2);
    assert.equal(asked, 2);
  });

  it('has its ticket refused, and gets the layers all the same', async () => {
    await serve({}, handOver(layers, 1));
    await sandbox().fail(/^image \S+: stowaged refused to hand over the layers/);
  });

  it('gets its word, but no layers', async () => {
    await serve({}, (socket) => socket.once('data', () => socket.write(Buffer.of(0))));
    await sandbox().fail(`image ${image}: stowaged refused to hand over the layers (0 of 2 came); try again`);
  });

  it('is hung up on before it has sent the ticket', async () => {
    await serve({}, (socket) => socket.destroy());
    await sandbox().fail(/^image \S+: (stowaged refused|cannot ask stowaged|stowaged did not hand over)/);
  });

  it('is hung up on after it has sent the ticket', async () => {
    await serve({}, (socket) => socket.once('data', () => socket.destroy()));
    await sandbox().fail(`image ${image}: stowaged refused to hand over the layers (0 of 2 came); try again`);
  });

  for (const [what, count] of [
    ['too few', 1],
    ['too many', 3],
    ['as many as one message carries', 253],
  ] as const) {
    it(`gets ${what} layers`, async () => {
      const handed = Array<Buffer>(count).fill(layers[0] as Buffer);
      await serve({}, handOver(handed));
      await sandbox().fail(
        `image ${image}: stowaged refused to hand over the layers (${count} of 2 came); try again`,
      );
    });
  }

  it('gets the layers in the wrong order', async () => {
    await serve({}, handOver([...layers].reverse()));
    await sandbox().fail(/layer.*digest/);
  });

  it('gets more layers than can be handed over', async () => {
    const layer = { digest: imageDigest, diffId: imageDigest, sizeBytes: 1 };
    await serve({ layers: Array<typeof layer>(254).fill(layer) });
    await sandbox().fail(`image ${image}: the image has more than 253 layers`);
  });

  it('gets an image without layers', async () => {
    await serve({ layers: [] }, (socket) => socket.once('data', () => socket.write(Buffer.of(0))));
    await sandbox().fail(`image ${image}: the image has no layers`);
  });

  it('gets an image without a budget', async () => {
    await serve({ budget: null }, handOver(layers));
    await sandbox().fail(
      /^image \S+: stowaged sent a plan that stowage-unpack has no use for; .* same release of both$/,
    );
  });

  it('gets no ticket for a tree that it does not have', async () => {
    await serve({ blobTicket: Buffer.alloc(0) });
    await sandbox().fail('the unpacked image was removed again and again by jobs that ended; try again');
    assert.ok(requests.length > 1 && requests.length < 10, `asked ${requests.length} times`);
  });

  it('asks for the layers when the tree has gone in the meantime', async () => {
    sandbox().makeTree();
    await sandbox().serve(
      listenGrpc(sandbox().socket, (call) => {
        call.write(welcome);
        if (call.request.unpackedDigests.length === 0) {
          call.emit('error', { code: 14, details: 'asked again' });
          return;
        }
        // What a sweep does.
        const [digest = ''] = call.request.unpackedDigests;
        fs.rmdirSync(`${sandbox().store}/${digest.replace(':', '-')}`);
        call.write({ plan: { imageDigest: digest, workingDirectory: '/' } });
        call.end();
      }),
    );
    const { reply } = await sandbox().enter();
    assert.equal(reply, 'Easked again\0');
  });

  const hex = imageDigest.slice('sha256:'.length);
  for (const digest of [
    '',
    'sha256',
    'sha256:',
    'sha256:../../../etc',
    `sha256:${hex}/../../x`,
    `sha256:${hex.slice(1)}`,
    `sha256:${hex}0`,
    `sha256:${hex.toUpperCase()}`,
    `sha256-${hex}`,
    `md5:${hex.slice(0, 32)}`,
    ` ${imageDigest}`,
    `sha256:${hex.slice(1)}\n`,
  ]) {
    it(`gets ${JSON.stringify(digest)} for a digest`, async () => {
      await serve({ imageDigest: digest }, handOver(layers));
      await sandbox().fail(`image ${image}: '${digest.replace('\n', '?')}' is not a digest`);
      assert.deepEqual(fs.readdirSync(sandbox().store), []);
    });
  }

  it('may not write to its tree store', async () => {
    await serve({}, handOver(layers));
    fs.chmodSync(sandbox().store, 0o500);
    await sandbox().fail(/^image \S+: cannot open the lock .*: Permission denied$/);
  });
});
