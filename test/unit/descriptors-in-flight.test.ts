/** A user who redeems tickets and receives nothing, beside another user of the same stowaged. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { protocol } from '../../wrapper/package-root.js';
import { waitFor } from '../cluster/wait.js';
import { connectAs, prepareAs } from '../support/connect-as.js';
import { FaultRegistry } from '../support/fault-registry.js';
import { InstalledDaemon } from '../support/installed-daemon.js';
import { isRoot } from '../unpack/sandbox.js';

const attacker = 65_433;
const victim = 65_434;
const layers = Array.from({ length: 100 }, (_, i) => Buffer.alloc(10, `${i}`));
/** More descriptors than the kernel lets the daemon have in flight. */
const openFiles = 1024;
const tickets = 20;

// Without root there is one user only.
if (isRoot)
  describe('the socket for blobs, with callers who do not receive', function () {
    this.timeout(60_000);
    this.slow(10_000);
    let registry: FaultRegistry;
    let daemon: InstalledDaemon;
    const sockets: Socket[] = [];

    beforeEach(async () => {
      registry = await FaultRegistry.start();
      registry.addImage('team/app', '1', { layers });
      daemon = await InstalledDaemon.start(`[registries."${registry.host}"]\nhttp = true\n`, openFiles);
    });
    afterEach(async () => {
      for (const socket of sockets.splice(0)) socket.destroy();
      await daemon.end();
      await registry.stop();
    });

    const ticketFor = async (uid: number): Promise<Uint8Array> => {
      const reference = `${registry.host}/team/app:1`;
      const request = { client: { protocol, software: 'test' }, reference };
      const { plan, message } = await prepareAs(uid, daemon.apiSocket, request);
      return plan?.blobTicket ?? assert.fail(message);
    };
    const redeem = (uid: number, ticket: Uint8Array): Socket => {
      const socket = connectAs(uid, daemon.blobSocket).on('error', () => undefined);
      sockets.push(socket);
      socket.write(ticket);
      return socket;
    };
    /** 0 for descriptors, 1 for a refusal. */
    const answerTo = (uid: number, ticket: Uint8Array): Promise<number | undefined> =>
      new Promise((resolve) => {
        const socket = redeem(uid, ticket);
        socket.once('data', (answer: Buffer) => resolve(answer[0]));
        socket.once('close', () => resolve(undefined));
      });
    const hoard = async (andThen: (socket: Socket) => void): Promise<void> => {
      for (let i = 0; i < tickets; i++) {
        const socket = redeem(attacker, await ticketFor(attacker));
        socket.pause();
        socket.once('connect', () => andThen(socket));
      }
      await sleep(500);
    };
    const isNamedOnce = (): void => {
      const named = daemon.events().filter(({ event }) => event === 'descriptors not received');
      assert.deepEqual(
        named.map(({ uid }) => uid),
        [attacker],
      );
    };

    it('hands over to others what one user hoards without end', async () => {
      await hoard(() => undefined);
      assert.equal(await answerTo(victim, await ticketFor(victim)), 0);
      assert.equal(await answerTo(attacker, await ticketFor(attacker)), 1);
      isNamedOnce();
    });

    it('takes no end of sending for the end of a connection', async () => {
      await hoard((socket) => socket.end());
      assert.equal(await answerTo(victim, await ticketFor(victim)), 0);
      isNamedOnce();
    });

    it('does not forget what has not been received, however long it takes', async () => {
      await hoard(() => undefined);
      await sleep(11_000);
      await hoard(() => undefined);
      assert.equal(await answerTo(victim, await ticketFor(victim)), 0);
    });

    it('serves the user again who has received, or has closed the connections', async () => {
      await hoard(() => undefined);
      for (const socket of sockets.splice(0)) socket.destroy();
      const ticket = await ticketFor(attacker);
      await sleep(1500);
      assert.equal(await answerTo(attacker, ticket), 0);
    });

    it('lets no connection stand that has served', async () => {
      const atRest = daemon.openDescriptors();
      for (let i = 0; i < 3; i++) assert.equal(await answerTo(victim, await ticketFor(victim)), 0);
      await waitFor(() => daemon.openDescriptors() <= atRest + 1, {
        failure: 'stowaged keeps connections',
        timeoutMs: 20_000,
      });
    });
  });
