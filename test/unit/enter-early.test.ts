import assert from 'node:assert/strict';
import fs from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { status } from '@grpc/grpc-js';

import { addon } from '../../wrapper/addon/addon.js';
import type { PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import { descriptorOf } from '../../wrapper/rpc/peer.js';
import { eachInEnterSandbox, endOf, image } from '../support/enter-sandbox.js';
import {
  frame,
  listenGrpc,
  listenHttp2,
  listenRaw,
  type PrepareCall,
  welcome,
} from '../support/fake-daemon.js';
import { digestOf } from '../unpack/sandbox.js';

const imageDigest = digestOf(Buffer.from('manifest'));
const tree = imageDigest.replace(':', '-');
const partial = `${tree}.partial`;
const layer = { digest: imageDigest, diffId: imageDigest, sizeBytes: 5 };

/** Unpacks, waits until the file "go" is there, and says and ends as it says. */
const waiting =
  'echo $$ >>"$sandbox/unpacker.log"; touch $root/begun; while ! test -e "$sandbox/go"; do sleep 0.01; done';

describe('stowage-enter, unpacking before all is there', () => {
  const sandbox = eachInEnterSandbox();
  /** How often layers were handed out. */
  let handed: number;

  const plan = (): PrepareResponseMessage => ({
    plan: {
      imageDigest,
      layers: [layer],
      blobTicket: Buffer.of(2),
      blobSocket: sandbox().blobSocket,
      workingDirectory: '/',
    },
  });
  const layers = (): PrepareResponseMessage => ({
    layers: {
      imageDigest,
      layers: [layer],
      blobTicket: Buffer.of(1),
      blobSocket: sandbox().blobSocket,
      budget: { maxBytes: 10, maxInodes: 10 },
    },
  });
  const serve = async (then: (call: PrepareCall) => Promise<void>): Promise<void> => {
    handed = 0;
    await sandbox().serve(
      listenGrpc(sandbox().socket, (call) => {
        call.write(welcome);
        call.write(layers());
        void then(call);
      }),
    );
    await sandbox().serve(
      listenRaw(sandbox().blobSocket, (socket) => {
        socket.once('data', () => handOut(socket));
      }),
    );
  };
  const handOut = (socket: Socket): void => {
    handed++;
    const fd = fs.openSync('/dev/null', 'r');
    addon.sendDescriptors(descriptorOf(socket), 0, [fd]);
    fs.closeSync(fd);
  };
  const begun = async (): Promise<void> => {
    while (!fs.existsSync(`${sandbox().store}/${partial}/begun`)) await sleep(5);
  };
  const go = () => fs.writeFileSync(`${sandbox().directory}/go`, '');
  const fail = (call: PrepareCall): void => {
    call.emit('error', { code: status.DATA_LOSS, details: 'the registry sent something else' });
  };

  it('begins when the layers are known, and publishes when the plan has come', async () => {
    sandbox().replaceUnpacker(waiting);
    let before: string[] = [];
    await serve(async (call) => {
      await begun();
      go();
      await sleep(200);
      before = sandbox().kept();
      call.write(plan());
      call.end();
    });
    const { root } = await sandbox().succeed();
    assert.ok(fs.existsSync(`${root}/begun`));
    assert.deepEqual(before, [partial]);
    assert.deepEqual(sandbox().kept().sort(), [tree, `${tree}.mount`]);
    assert.equal(handed, 1);
    const [run = ''] = sandbox().unpackerRuns();
    assert.match(
      run,
      new RegExp(
        `--max-inodes 10 --progress-fd \\d+ --growing --layer \\d+:5:${imageDigest}:${imageDigest}$`,
      ),
    );
  });

  it('waits for the unpacker when the plan has come first', async () => {
    sandbox().replaceUnpacker(`${waiting}; echo 'one device was left out' >&2`);
    await serve(async (call) => {
      await begun();
      call.write(plan());
      call.end();
      setTimeout(go, 300);
    });
    const { status, stderr } = await sandbox().enter();
    assert.equal(status, 0);
    assert.equal(stderr, `stowage: node1: ${image}: one device was left out\n`);
  });

  it('ends at once when the unpacker refuses the image', async () => {
    sandbox().replaceUnpacker(`echo 'the image holds a bomb' >&2; exit 1`);
    await serve(() => Promise.resolve());
    const { tookMs } = await sandbox().fail(`image ${image}: the image holds a bomb`);
    assert.ok(tookMs < 2000, `${tookMs} ms`);
  });

  it('leaves the last word on a digest to stowaged', async () => {
    sandbox().replaceUnpacker(`echo 'layer x does not match its digest (y)' >&2; exit 1`);
    await serve(async (call) => {
      await sleep(300);
      fail(call);
    });
    await sandbox().fail('the registry sent something else');
  });

  it('has a word on a digest if stowaged has none', async () => {
    sandbox().replaceUnpacker(`echo 'layer x does not match its digest (y)' >&2; exit 1`);
    await serve(async (call) => {
      await sleep(300);
      call.write(plan());
      call.end();
    });
    await sandbox().fail(`image ${image}: layer x does not match its digest (y)`);
  });

  it('ends the unpacker and removes what it made when the download fails', async () => {
    sandbox().replaceUnpacker(waiting);
    await serve(async (call) => {
      await begun();
      fail(call);
    });
    await sandbox().fail('the registry sent something else');
    await endOf(Number(sandbox().unpackerRuns()[1]));
  });

  it('ends the unpacker and removes what it made when stowaged dies', async () => {
    sandbox().replaceUnpacker(waiting);
    const socket = `${sandbox().directory}/dying.sock`;
    await serve(() => Promise.resolve());
    await sandbox().serve(
      listenHttp2(socket, (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        stream.write(Buffer.concat([frame(welcome), frame(layers())]));
        void begun().then(() => stream.session?.destroy());
      }),
    );
    await sandbox().fail('stowaged ended while it prepared the image; try again', { socket });
    await endOf(Number(sandbox().unpackerRuns()[1]));
  });

  it('says at once that the unpacker was killed, and removes what it made', async () => {
    sandbox().replaceUnpacker('touch $root/begun; kill -KILL $$');
    await serve(() => Promise.resolve());
    await sandbox().fail(
      `image ${image}: unpacking was killed, most likely because the step ran out of memory; ask for more with --mem`,
    );
  });

  describe('has its ticket for what is to come refused', () => {
    /** The first is that for what is to come. */
    const serveLate = async (then: (call: PrepareCall) => void): Promise<void> => {
      handed = 0;
      let asked = 0;
      await sandbox().serve(
        listenGrpc(sandbox().socket, (call) => {
          call.write(welcome);
          call.write(layers());
          setTimeout(then, 200, call);
        }),
      );
      await sandbox().serve(
        listenRaw(sandbox().blobSocket, (socket) => {
          socket.once('data', () => {
            asked++;
            if (asked === 1) socket.end(Buffer.of(1));
            else handOut(socket);
          });
        }),
      );
    };

    it('and leaves it to stowaged to say why', async () => {
      sandbox().replaceUnpacker(waiting);
      await serveLate(fail);
      await sandbox().fail('the registry sent something else');
      assert.deepEqual(sandbox().unpackerRuns(), []);
    });

    it('and unpacks when the plan has come', async () => {
      go();
      sandbox().replaceUnpacker(waiting);
      await serveLate((call) => {
        call.write(plan());
        call.end();
      });
      const { root } = await sandbox().succeed();
      assert.ok(fs.existsSync(`${root}/begun`));
      assert.equal(handed, 1);
    });
  });

  it('leaves no unpacker and no half of a tree behind when it is killed', async () => {
    sandbox().replaceUnpacker(waiting);
    await serve(() => Promise.resolve());
    const running = sandbox().enter();
    await begun();
    sandbox().kill();
    await running;
    await endOf(Number(sandbox().unpackerRuns()[1]));
    assert.deepEqual(await sandbox().sweep(), { status: 0, stderr: '' });
    assert.deepEqual(fs.readdirSync(sandbox().store), []);
  });

  it('lets one of two steps unpack, and the other wait for it', async () => {
    sandbox().replaceUnpacker(waiting);
    await serve(async (call) => {
      await begun();
      call.write(plan());
      call.end();
      setTimeout(go, 300);
    });
    await Promise.all([sandbox().succeed(), sandbox().succeed()]);
    assert.equal(sandbox().unpackerRuns().length, 2, 'one run, of two lines');
    assert.equal(handed, 1);
  });

  it('does not unpack what is there', async () => {
    sandbox().replaceUnpacker(waiting);
    fs.mkdirSync(`${sandbox().store}/${tree}`);
    sandbox().giveToUser(`${sandbox().store}/${tree}`);
    await serve(async (call) => {
      call.write(plan());
      call.end();
    });
    await sandbox().succeed();
    assert.deepEqual(sandbox().unpackerRuns(), []);
  });

  it('hears of other layers than those of the plan', async () => {
    sandbox().replaceUnpacker(waiting);
    await serve(async (call) => {
      await begun();
      const other = digestOf(Buffer.from('another manifest'));
      call.write({ plan: { ...plan().plan, imageDigest: other } });
      call.end();
    });
    await sandbox().fail(`image ${image}: stowaged announced the layers of another image; try again`);
  });

  it('hears of layers twice', async () => {
    sandbox().replaceUnpacker(waiting);
    await serve(async (call) => {
      await begun();
      call.write(layers());
    });
    await sandbox().fail(`image ${image}: stowaged announced the layers twice`);
  });
});
