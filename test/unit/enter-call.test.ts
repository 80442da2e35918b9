import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { createServer as createHttpServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { status } from '@grpc/grpc-js';

import { release } from '../../wrapper/package-root.js';
import { ProgressPhase, type PrepareRequestMessage } from '../../wrapper/rpc/definitions.js';
import { eachInEnterSandbox, image } from '../support/enter-sandbox.js';
import {
  type Close,
  frame,
  listenGrpc,
  listenHttp2,
  listenRaw,
  type PrepareCall,
  welcome,
} from '../support/fake-daemon.js';
import { callHeaders, endHeaders, frame as http2Frame, frameType, preface } from '../support/http2-frames.js';

const contentType = { ':status': 200, 'content-type': 'application/grpc+proto' };

/** An HTTP/2 answer: these bytes, then these trailers. */
const answering =
  (body: Buffer, trailers: Record<string, string>) =>
  (stream: ServerHttp2Stream): void => {
    stream.respond(contentType, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end(body);
  };

const notStowaged = "what listens on stowaged's socket is not stowaged; the administrators must see to it";

describe('stowage-enter, calling stowaged', () => {
  const sandbox = eachInEnterSandbox();
  const grpc = (handler?: (call: PrepareCall) => void) =>
    sandbox().serve(listenGrpc(sandbox().socket, handler));
  const http2 = (onStream: (stream: ServerHttp2Stream) => void) =>
    sandbox().serve(listenHttp2(sandbox().socket, onStream));
  const raw = (onConnection: (socket: Socket) => void) =>
    sandbox().serve(listenRaw(sandbox().socket, onConnection));

  it('says what it asks for', async () => {
    const digest = sandbox().makeTree();
    let request: PrepareRequestMessage | undefined;
    await grpc((call) => {
      request = call.request;
      call.emit('error', { code: status.NOT_FOUND, details: 'no such image' });
    });
    await sandbox().fail('no such image', { chdir: '/scratch/job' });
    assert.ok(request);
    assert.equal(request.reference, image);
    assert.deepEqual({ ...request.client }, { protocol: 5, software: `stowage-enter ${release}` });
    assert.deepEqual({ ...request.job }, { jobId: 7, nodeName: 'node1' });
    assert.deepEqual(request.unpackedDigests, [digest]);
    assert.equal(request.homeDirectory, sandbox().home);
    assert.equal(request.workingDirectory, '/scratch/job');
  });

  it('finds nobody there', () =>
    sandbox().fail(
      `stowaged does not run here (${sandbox().socket}: No such file or directory); ` +
        'the administrators of this node must start it',
    ));

  it('finds the socket of a stowaged that crashed', async () => {
    const close = await listenRaw(`${sandbox().directory}/first.sock`, () => undefined);
    // Closing unlinks the name it knows.
    renameSync(`${sandbox().directory}/first.sock`, sandbox().socket);
    await close();
    await sandbox().fail(
      `stowaged does not run here (${sandbox().socket}: Connection refused); ` +
        'the administrators of this node must start it',
    );
  });

  it('finds something that is no socket', async () => {
    writeFileSync(sandbox().socket, '');
    chmodSync(sandbox().socket, 0o666);
    await sandbox().fail(/^stowaged does not run here \(.*api\.sock: Connection refused\)/);
  });

  it('may not connect', async () => {
    await raw(() => undefined);
    chmodSync(sandbox().socket, 0);
    await sandbox().fail(`cannot connect to stowaged at ${sandbox().socket}: Permission denied`);
  });

  it('takes no socket path over 107 bytes', async () => {
    const longest = `/${'x'.repeat(106)}`;
    await sandbox().fail(/^stowaged does not run here/, { socket: longest });
    await sandbox().fail(`the socket path ${longest}x is longer than 107 bytes`, { socket: `${longest}x` });
  });

  it('prints its sentence where nobody holds descriptor 3', async () => {
    const outcome = await sandbox().enter({ answered: false, socket: '/nonexistent' });
    assert.equal(outcome.status, 1);
    assert.equal(
      outcome.stderr,
      'stowage-enter: stowaged does not run here (/nonexistent: No such file or directory); ' +
        'the administrators of this node must start it\n',
    );
  });

  it('is hung up on at once', async () => {
    await raw((socket) => socket.destroy());
    await sandbox().fail(
      /^(stowaged ended while it prepared the image; try again|lost the connection to stowaged \(.+\); try again)$/,
    );
  });

  it('is hung up on after the welcome', async () => {
    await http2((stream) => {
      stream.respond(contentType);
      stream.write(frame(welcome), () => stream.session?.destroy());
    });
    await sandbox().fail(
      /^(stowaged ended (while it prepared the image|the call without a status); try again|lost the connection to stowaged \(.+\); try again)$/,
    );
  });

  it('hears noise, and no end to it', async () => {
    await raw((socket) => {
      const go = (): boolean => socket.write(Buffer.alloc(64 * 1024, 0xa5)) || !socket.once('drain', go);
      go();
    });
    await sandbox().fail(notStowaged);
  });

  it('hears noise, and then nothing', async () => {
    await raw((socket) => socket.write('\0\0\0\0\0\0\0\0\0 who is there?\n'));
    await sandbox().fail(notStowaged);
  });

  it('is answered in HTTP/1.1, and the connection kept open', async () => {
    await raw((socket) => socket.write('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'));
    await sandbox().fail(notStowaged);
  });

  it('calls a web server, which hangs up', async () => {
    const web = createHttpServer();
    await raw((socket) => web.emit('connection', socket));
    await sandbox().fail(/^(what listens on stowaged's socket is not stowaged; |lost the connection to )/);
  });

  it('is answered in HTTP, but not in gRPC', async () => {
    await http2((stream) => {
      stream.respond({ ':status': 404, 'content-type': 'text/html' });
      stream.end('<h1>Not found</h1>');
    });
    await sandbox().fail(notStowaged);
  });

  it('is answered in HTTP, but with nothing', async () => {
    await http2((stream) => stream.respond({ ':status': 204 }, { endStream: true }));
    await sandbox().fail(notStowaged);
  });

  it('has its call reset', async () => {
    await http2((stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
    await sandbox().fail('stowaged ended the call without a status; try again');
  });

  it('calls a server without the method', async () => {
    await grpc();
    await sandbox().fail(
      `what listens on stowaged's socket does not speak protocol 5 of stowage-enter ${release}; ` +
        'the administrators must install the same release of both',
    );
  });

  it('calls a stowaged of another protocol', async () => {
    await grpc((call) => call.write({ welcome: { protocol: 1, software: 'stowaged 9.9.9' } }));
    await sandbox().fail(
      `stowage-enter ${release} speaks protocol 5 and stowaged 9.9.9 speaks protocol 1; ` +
        'the administrators must install the same release of both',
    );
  });

  it('is not told which protocol is spoken', async () => {
    const imageDigest = sandbox().makeTree();
    await grpc((call) => {
      call.write({ plan: { imageDigest, workingDirectory: '/' } });
      call.end();
    });
    await sandbox().fail(
      'stowaged did not say which protocol it speaks; ' +
        'the administrators must install the same release of stowaged and stowage-enter',
    );
  });

  it('gets no plan', async () => {
    await grpc((call) => {
      call.write(welcome);
      call.end();
    });
    await sandbox().fail('stowaged answered without a plan');
  });

  it('gets a plan, and does not wait for the end of the call', async () => {
    const imageDigest = sandbox().makeTree();
    await grpc((call) => call.write({ ...welcome, plan: { imageDigest, workingDirectory: '/' } }));
    await sandbox().succeed();
  });

  it('gets a plan, and no word about the protocol that is spoken but another one', async () => {
    const imageDigest = sandbox().makeTree();
    const plan = { imageDigest, workingDirectory: '/' };
    await grpc((call) => call.write({ welcome: { protocol: 9, software: 'stowaged 9' }, plan }));
    await sandbox().fail(/speaks protocol 5 and stowaged 9 speaks protocol 9/);
  });

  describe('in a call that the plugin has begun', () => {
    /** Nothing is read from it here. */
    let earlyCall: Socket;
    afterEach(() => earlyCall.destroy());

    const begun = async (method = 'Prepare'): Promise<void> => {
      earlyCall = connect({ path: sandbox().socket, allowHalfOpen: true }).pause();
      await once(earlyCall, 'connect');
      const headers = callHeaders(`/stowage.v1.ImageService/${method}`);
      earlyCall.write(
        Buffer.concat([
          preface,
          http2Frame(frameType.settings, 0, 0),
          http2Frame(frameType.headers, endHeaders, 1, headers),
        ]),
      );
    };
    /** What the user's settings mean, after so long. */
    const withSettings = async (afterMs: number): Promise<void> => {
      const directory = `${sandbox().home}/.config/stowage`;
      mkdirSync(directory, { recursive: true });
      writeFileSync(`${directory}/config.toml`, '');
      await sandbox().serve(
        listenGrpc(sandbox().socket, planned(), undefined, () => {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, afterMs);
          return { reference: image };
        }),
      );
    };
    const planned = (): ((call: PrepareCall) => void) => {
      const imageDigest = sandbox().makeTree();
      return (call) => call.write({ ...welcome, plan: { imageDigest, workingDirectory: '/' } });
    };

    it('begins no other', async () => {
      await grpc(planned());
      await begun();
      renameSync(sandbox().socket, `${sandbox().socket}.elsewhere`);
      await sandbox().succeed({ earlyCall });
    });

    it('leaves it alone while it asks for something else', async () => {
      await withSettings(0);
      await begun();
      await sandbox().succeed({ earlyCall });
    });

    it('begins one of its own when that one has become too old', async () => {
      await withSettings(5100);
      // One that is of no use, to tell them apart.
      await begun('Nothing');
      await sandbox().succeed({ earlyCall });
    });

    it('needs one that is of use', async () => {
      await grpc(planned());
      await begun('Nothing');
      await sandbox().fail(/does not speak protocol 5/, { earlyCall });
    });

    it('that stowaged has given up begins one of its own', async () => {
      const hungUp = new Promise((resolve) => {
        void raw((socket) => socket.once('data', () => socket.destroy().once('close', resolve)));
      });
      await begun();
      await hungUp;
      renameSync(sandbox().socket, `${sandbox().socket}.before`);
      await grpc(planned());
      await sandbox().succeed({ earlyCall });
    });
  });

  for (const [what, sent, shown] of [
    ['UTF-8', 'image caf\u00e9 \u2014 100 % gone: \u{1f433}', undefined],
    ['control characters', 'a\x1b[2J\r\nb\x07\x7f\u009bc', 'a?[2J??b????c'],
    ['no words', '', 'stowaged failed without a reason'],
  ] as const) {
    it(`gets a failure with ${what}`, async () => {
      await grpc((call) => {
        call.write(welcome);
        call.emit('error', { code: status.UNAVAILABLE, details: sent });
      });
      await sandbox().fail(shown ?? sent);
    });
  }

  it('gets a failure whose encoding is broken', async () => {
    await http2(answering(frame(welcome), { 'grpc-status': '5', 'grpc-message': 'a%4 %zz %e2%82%AC%' }));
    await sandbox().fail('a%4 %zz \u20ac%');
  });

  // nghttp2 resets the call then; it must be noticed although the server says nothing more.
  it('gets a failure in a header that HTTP/2 does not allow', async () => {
    await http2(answering(frame(welcome), { 'grpc-status': '5', 'grpc-message': 'blank at the end ' }));
    await sandbox().fail('stowaged failed without a reason');
  });

  it('gets a failure of 60 KB', async () => {
    await http2(answering(frame(welcome), { 'grpc-status': '5', 'grpc-message': 'long'.repeat(15_000) }));
    const { reply } = await sandbox().fail(/^(long)+/);
    assert.ok(Buffer.byteLength(reply) <= 2048);
  });

  it('gets a failure and nothing before it', async () => {
    await http2((stream) => {
      stream.respond(
        { ...contentType, 'grpc-status': '7', 'grpc-message': 'not%20for you' },
        { endStream: true },
      );
    });
    await sandbox().fail('not for you');
  });

  it('gets a failure, and the server is gone before the call is over', async () => {
    await http2((stream) => {
      stream.respond(
        { ...contentType, 'grpc-status': '14', 'grpc-message': 'going away' },
        { endStream: true },
      );
      stream.session?.close();
    });
    await sandbox().fail('going away');
  });

  for (const [what, prefix] of [
    ['of 2 GiB', [0, 0x80, 0, 0, 0]],
    ['of 4 GiB', [0, 0xff, 0xff, 0xff, 0xff]],
    ['that is compressed', [1, 0, 0, 0, 1]],
  ] as const) {
    it(`gets a message ${what}`, async () => {
      await http2((stream) => {
        stream.respond(contentType);
        stream.write(Buffer.from(prefix));
      });
      await sandbox().fail('stowaged sent a message that is compressed or larger than 1048576 bytes');
    });
  }

  it('gets a message that is none', async () => {
    await http2(answering(Buffer.from([0, 0, 0, 0, 3, 0x0a, 0x7f, 0x01]), { 'grpc-status': '0' }));
    await sandbox().fail('stowaged sent something that is not a PrepareResponse');
  });

  it('gets half a message', async () => {
    await http2(
      answering(Buffer.concat([frame(welcome), Buffer.of(0, 0, 0, 1, 0, 1)]), { 'grpc-status': '0' }),
    );
    await sandbox().fail('stowaged answered without a plan');
  });

  it('gets a message byte by byte', async () => {
    await http2((stream) => {
      stream.respond(contentType);
      void (async () => {
        for (const byte of frame({ welcome: { protocol: 9, software: 'stowaged 9' } })) {
          await new Promise((resolve) => stream.write(Buffer.of(byte), resolve));
          await sleep(1);
        }
      })();
    });
    await sandbox().fail(/speaks protocol 5 and stowaged 9 speaks protocol 9/);
  });

  it('gets fifty thousand events, and prints none of the first two seconds', async () => {
    const imageDoneBytes = 1;
    const event = frame({
      progress: { phase: ProgressPhase.PHASE_DOWNLOADING, imageDoneBytes, imageTotalBytes: 2 },
    });
    const body = Buffer.concat([frame(welcome), ...Array<Buffer>(50_000).fill(event)]);
    await http2(answering(body, { 'grpc-status': '14', 'grpc-message': 'enough' }));
    await sandbox().fail('enough');
  });

  it('prints a line of progress every five seconds, without control characters', async () => {
    await grpc((call) => {
      call.write(welcome);
      const timer = setInterval(() => {
        call.write({ progress: { phase: ProgressPhase.PHASE_WAITING, detail: 'asked to \x1b[31mwait\n' } });
      }, 20);
      setTimeout(() => {
        clearInterval(timer);
        call.emit('error', { code: status.UNAVAILABLE, details: 'enough' });
      }, 3000);
    });
    const { stderr, reply } = await sandbox().enter();
    assert.equal(stderr, `stowage: node1: ${image}: asked to ?[31mwait?\n`);
    assert.equal(reply, 'Eenough\0');
  });

  it('cannot hold on to a slurmstepd that is gone', () =>
    sandbox().fail(/^slurmstepd \(process 2147483647\) is gone: /, { lifeline: 2 ** 31 - 1 }));

  it('has no tree store', async () => {
    const trees = `${sandbox().directory}/nosuch`;
    await sandbox().fail(/^cannot open the tree store .*\/nosuch\/\d+: No such file or directory$/, {
      trees,
    });
  });
});

describe('stowage-enter, hearing nothing', () => {
  const sandbox = eachInEnterSandbox();

  // The silences last at once: each is thirty seconds, and nothing can make them shorter.
  it('gives up after thirty seconds, however far it got', async function () {
    this.timeout(45_000);
    const { directory, blobSocket } = sandbox();
    const mute = () => undefined;
    const imageDigest = `sha256:${'0'.repeat(64)}`;
    const planned = (call: PrepareCall): void => {
      call.write(welcome);
      call.write({ plan: { imageDigest, layers: [{}], blobTicket: Buffer.of(1), blobSocket } });
      call.end();
    };
    await sandbox().serve(listenRaw(blobSocket, mute));
    const ofTheCall = /^Estowaged has not answered for 30 seconds; try again, and tell the administrators/;
    const ofTheLayers = /^Eimage \S+: stowaged has not handed over the layers for 30 seconds; try again/;
    const cases = [
      [listenRaw, mute, ofTheCall],
      [listenHttp2, mute, ofTheCall],
      [listenGrpc, (call: PrepareCall) => call.write(welcome), ofTheCall],
      [listenGrpc, planned, ofTheLayers],
    ] as const;
    await Promise.all(
      cases.map(async ([listen, handler, sentence], index) => {
        const socket = `${directory}/${index}.sock`;
        await sandbox().serve(
          (listen as (path: string, on: typeof handler) => Promise<Close>)(socket, handler),
        );
        const outcome = await sandbox().enter({ socket });
        assert.equal(outcome.status, 1);
        assert.match(outcome.reply, sentence);
        assert.equal(outcome.stderr, '');
        assert.ok(outcome.tookMs > 29_000 && outcome.tookMs < 35_000, `${outcome.tookMs} ms`);
      }),
    );
    assert.deepEqual(sandbox().kept(), []);
  });
});
