/** Hostile clients of one user, at the sockets of a stowaged that serves other users as well. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { waitFor } from '../cluster/wait.js';
import { connectAs, versionFor } from '../support/connect-as.js';
import { InstalledDaemon } from '../support/installed-daemon.js';
import { callHeaders, endHeaders, frame, frameType, headerBlock, preface } from '../support/http2-frames.js';

const attacker = 65_433;
const victim = 65_434;
/**
 * What all attacks together may add to the memory of the daemon: garbage that V8 has not collected yet, and what it
 * holds for those who wait. Each of the attacks could take gigabytes of a daemon that lets it.
 */
const mostGrowthBytes = 128 * 1024 * 1024;

const prepare = '/stowage.v1.ImageService/Prepare';
const getVersion = '/stowage.v1.ImageService/GetVersion';
const settings = frame(frameType.settings, 0, 0);
const greeting = Buffer.concat([preface, settings]);
const cancelled = Buffer.of(0, 0, 0, 8);
const begin = (stream: number, path = prepare): Buffer =>
  frame(frameType.headers, endHeaders, stream, callHeaders(path));

describe('the socket of stowaged, under attack', function () {
  this.timeout(60_000);
  this.slow(10_000);
  let daemon: InstalledDaemon;
  let atRestBytes: number;
  let atRestDescriptors: number;
  let loggedBefore: number;
  const sockets: Socket[] = [];

  before(async () => {
    daemon = await InstalledDaemon.start();
    await versionFor(victim, daemon.apiSocket);
    atRestBytes = daemon.peakResidentBytes();
    atRestDescriptors = daemon.openDescriptors();
  });
  after(() => daemon.end());
  beforeEach(() => {
    loggedBefore = daemon.events().length;
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    // A connection on which HTTP/2 was given up may stand until it counts as idle.
    await waitFor(() => daemon.openDescriptors() <= atRestDescriptors, {
      failure: 'stowaged keeps connections',
      timeoutMs: 30_000,
    });
  });

  const attack = (path = daemon.apiSocket): Socket => {
    const socket = connectAs(attacker, path);
    socket.on('error', () => undefined);
    socket.resume();
    sockets.push(socket);
    return socket;
  };

  /** Sends for a while, as fast as it is taken, until the other side hangs up. */
  const flood = async (socket: Socket, next: (count: number) => Buffer, forMs = 2000): Promise<void> => {
    const until = performance.now() + forMs;
    for (let count = 0; performance.now() < until && !socket.destroyed; count++) {
      const isTaken = socket.write(next(count));
      await sleep(isTaken ? 0 : 5);
    }
  };

  /** That another user is served now, and how well the daemon keeps itself together. */
  const othersAreServed = async (): Promise<void> => {
    assert.match(await versionFor(victim, daemon.apiSocket), /^stowaged /);
    const growth = daemon.peakResidentBytes() - atRestBytes;
    assert.ok(growth < mostGrowthBytes, `stowaged has grown by ${Math.round(growth / 1e6)} MB`);
  };

  /** That the log has one line about it, naming the user; the attack may happen many times. */
  const isLoggedOnce = (event: string): void => {
    const lines = daemon.events().slice(loggedBefore);
    assert.deepEqual(
      lines.map((line) => [line['event'], line['uid']]),
      [[event, attacker]],
    );
  };

  it('serves others during a flood of calls that are reset at once, and names the user once', async () => {
    const flooding = Array.from({ length: 4 }, async () => {
      const socket = attack();
      socket.write(greeting);
      await flood(socket, (count) =>
        Buffer.concat(
          Array.from({ length: 50 }, (_, i) => {
            const stream = 2 * (50 * count + i) + 1;
            return Buffer.concat([begin(stream), frame(frameType.resetStream, 0, stream, cancelled)]);
          }),
        ),
      );
    });
    await sleep(500);
    await othersAreServed();
    await Promise.all(flooding);
    await othersAreServed();
    isLoggedOnce('call taken back before it said anything');
  });

  it('hangs up on a flood of CONTINUATION frames, and says why, once for each user', async () => {
    for (let i = 0; i < 3; i++) {
      const socket = attack();
      socket.write(Buffer.concat([greeting, frame(frameType.headers, 0, 1, callHeaders(prepare))]));
      const more = headerBlock({ 'x-more': 'x'.repeat(100) });
      const pieces = Buffer.concat(Array<Buffer>(500).fill(frame(frameType.continuation, 0, 1, more)));
      await flood(socket, () => pieces, 10_000);
      assert.ok(socket.destroyed, 'the connection still stands');
    }
    await othersAreServed();
    isLoggedOnce('connection broken off');
  });

  const floods = { SETTINGS: settings, PING: frame(frameType.ping, 0, 0, Buffer.alloc(8)) };
  for (const [kind, piece] of Object.entries(floods))
    it(`keeps no answers to a flood of ${kind} frames that nobody reads, and serves others`, async () => {
      const pieces = Buffer.concat(Array<Buffer>(500).fill(piece));
      const flooding = Array.from({ length: 4 }, async () => {
        const socket = attack();
        socket.pause();
        socket.write(greeting);
        await flood(socket, () => pieces);
      });
      await sleep(500);
      await othersAreServed();
      await Promise.all(flooding);
      await othersAreServed();
      assert.ok(daemon.events().length - loggedBefore <= 1, 'one line at most');
    });

  it('does not take headers without end', async () => {
    const socket = attack();
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`x-${i}`, 'x'.repeat(100)]));
    socket.write(greeting);
    await flood(
      socket,
      (count) =>
        Buffer.concat([
          frame(frameType.headers, endHeaders, 2 * count + 1, headerBlock(many)),
          frame(frameType.resetStream, 0, 2 * count + 1, cancelled),
        ]),
      1000,
    );
    await othersAreServed();
  });

  for (const [what, path] of Object.entries({ 'a conversation': prepare, 'a plain call': getVersion }))
    it(`holds few of the messages that are begun and never finished, in ${what}`, async () => {
      const announced = Buffer.alloc(5);
      announced.writeUInt32BE(4 * 1024 * 1024, 1);
      const piece = Buffer.alloc(16_384);
      for (let connection = 0; connection < 8; connection++) {
        const socket = attack();
        socket.write(greeting);
        const streams = Array.from({ length: 32 }, (_, i) => 2 * i + 1);
        for (const stream of streams)
          socket.write(Buffer.concat([begin(stream, path), frame(frameType.data, 0, stream, announced)]));
        for (let round = 0; round < 20; round++) {
          for (const stream of streams) socket.write(frame(frameType.data, 0, stream, piece));
          await sleep(5);
        }
      }
      await othersAreServed();
    });

  it('waits for thousands of calls that say nothing, and serves others', async () => {
    for (let connection = 0; connection < 128; connection++)
      attack().write(Buffer.concat([greeting, ...Array.from({ length: 32 }, (_, i) => begin(2 * i + 1))]));
    await sleep(500);
    await othersAreServed();
  });

  it('admits a part of 1,000 connections of one user, names the user once, and serves others', async () => {
    for (let i = 0; i < 1000; i++) attack();
    await waitFor(() => sockets.filter(({ destroyed }) => destroyed).length >= 700, {
      failure: 'the connections stand',
      timeoutMs: 10_000,
    });
    await othersAreServed();
    isLoggedOnce('too many connections');
  });

  it('serves others while connections say nothing, half a greeting, or noise', async () => {
    for (const said of ['', preface.subarray(0, 10), preface, 'GET / HTTP/1.1\r\n\r\n', Buffer.alloc(1000)])
      for (let i = 0; i < 40; i++) {
        const socket = attack();
        socket.write(said);
        // Half-open: nothing more will come, but it listens.
        if (i % 2 === 0) socket.end();
      }
    await sleep(200);
    await othersAreServed();
  });

  it('admits a part of 1,000 connections to the socket for blobs, and serves others', async () => {
    for (let i = 0; i < 1000; i++) attack(daemon.blobSocket);
    await waitFor(() => sockets.filter(({ destroyed }) => destroyed).length >= 900, {
      failure: 'the connections stand',
      timeoutMs: 10_000,
    });
    await othersAreServed();
    const other = connectAs(victim, daemon.blobSocket);
    other.write(Buffer.alloc(32));
    const [answer] = await new Promise<Buffer>((resolve, reject) =>
      other.once('data', resolve).once('error', reject),
    );
    other.destroy();
    assert.equal(answer, 1, 'a wrong ticket is refused');
  });

  it('survives being killed: its sockets are replaced', async () => {
    await daemon.stop('SIGKILL');
    await daemon.restart();
    assert.match(await versionFor(victim, daemon.apiSocket), /^stowaged /);
  });
});
