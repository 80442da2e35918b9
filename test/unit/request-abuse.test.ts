/** Hostile messages of one user, to a stowaged that serves other users as well. */
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import protobuf from 'protobufjs/minimal.js';
import { stowage } from '#proto';

import { protocol } from '../../wrapper/package-root.js';
import { waitFor } from '../cluster/wait.js';
import { connectAs, versionFor } from '../support/connect-as.js';
import { InstalledDaemon } from '../support/installed-daemon.js';

const attacker = 65_433;
const victim = 65_434;
/** What is held, and garbage that V8 has not collected yet. Each attack takes more of a daemon that lets it, or ends it. */
const mostGrowthBytes = 256 * 1024 * 1024;

describe('stowaged, asked too much', function () {
  this.timeout(60_000);
  this.slow(10_000);
  let daemon: InstalledDaemon;
  let atRestBytes: number;
  /** A registry that never answers. */
  let registry: Server;
  let host: string;
  const visitors: Socket[] = [];
  let refusals: string[];
  const sessions: http2.ClientHttp2Session[] = [];

  beforeEach(async () => {
    refusals = [];
    registry = createServer((socket) => visitors.push(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
    host = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
    daemon = await InstalledDaemon.start(`[registries."${host}"]\nhttp = true\n`);
    await versionFor(victim, daemon.apiSocket);
    atRestBytes = daemon.peakResidentBytes();
  });
  afterEach(async () => {
    for (const session of sessions.splice(0)) session.destroy();
    await daemon.end();
    for (const visitor of visitors.splice(0)) visitor.destroy();
    registry.close();
  });

  /** The sentence that the call is refused with is added to `refusals`. */
  const beginCall = (bytes: Uint8Array, method = 'Prepare'): void => {
    const session = http2.connect('http://localhost', {
      createConnection: () => connectAs(attacker, daemon.apiSocket),
    });
    sessions.push(session);
    session.on('error', () => refusals.push('hung up'));
    const call = session.request({
      ':method': 'POST',
      ':path': `/stowage.v1.ImageService/${method}`,
      te: 'trailers',
      'content-type': 'application/grpc',
    });
    call.resume();
    call.on('error', () => refusals.push('broken off'));
    for (const event of ['response', 'trailers'])
      call.on(event, (headers: http2.IncomingHttpHeaders) => {
        const sentence = headers['grpc-message'];
        if (sentence !== undefined) refusals.push(decodeURIComponent(String(sentence)));
      });
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.length, 1);
    call.write(Buffer.concat([head, bytes]));
  };
  const refused = (count: number): Promise<unknown> =>
    waitFor(() => refusals.length >= count, { failure: 'calls are not refused', timeoutMs: 30_000 });

  const othersAreServed = async (): Promise<void> => {
    assert.match(await versionFor(victim, daemon.apiSocket), /^stowaged /);
    const growth = daemon.peakResidentBytes() - atRestBytes;
    assert.ok(growth < mostGrowthBytes, `stowaged has grown by ${Math.round(growth / 1e6)} MB`);
  };

  const request = (nodeName: string): Uint8Array =>
    stowage.v1.PrepareRequest.encode({
      client: { protocol, software: 'test' },
      reference: `${host}/app:1`,
      job: { nodeName },
    }).finish();

  it('by calls that wait, each with megabytes in its request, holds few of them', async () => {
    const large = request('x'.repeat(3_900_000));
    for (let i = 0; i < 60; i++) beginCall(large);
    await refused(58);
    await sleep(500);
    await othersAreServed();
    assert.equal(refusals.length, 58);
    for (const sentence of refusals)
      assert.match(sentence, /calls that are open hold too much of its memory/);
  });

  it('by calls that wait with requests as they are, holds all of them', async () => {
    const ordinary = request('n1');
    for (let i = 0; i < 60; i++) beginCall(ordinary);
    await waitFor(() => visitors.length > 0, { failure: 'no registry is asked', timeoutMs: 10_000 });
    await sleep(500);
    assert.deepEqual(refusals, []);
  });

  it('by messages of millions of empty options, decodes none of them', async () => {
    const options = Buffer.alloc(4_000_000, Buffer.of((13 << 3) | 2, 0));
    for (let i = 0; i < 8; i++) beginCall(options);
    await refused(8);
    for (const sentence of refusals) assert.match(sentence, /^you ask too much of stowaged/);
    await othersAreServed();
  });

  for (const [what, field] of [
    ['variables', 5],
    ['names', 7],
  ] as const)
    it(`by settings files of millions of empty ${what}, decodes none of them`, async () => {
      const content = Buffer.alloc(4_000_000, Buffer.of((field << 3) | 2, 0));
      const writer = protobuf.Writer.create();
      const bytes = writer
        .uint32((4 << 3) | 2)
        .bytes(content)
        .finish();
      for (let i = 0; i < 8; i++) beginCall(bytes, 'ReadSettings');
      await refused(8);
      for (const sentence of refusals) assert.match(sentence, /^you ask too much of stowaged/);
      await othersAreServed();
    });
});
