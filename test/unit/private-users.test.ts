/** Two users of one stowaged, as the kernel tells them apart, and an image that one of them may use. */
import assert from 'node:assert/strict';

import { status } from '@grpc/grpc-js';

import { protocol } from '../../wrapper/package-root.js';
import { busyboxImage } from '../support/busybox-image.js';
import { connectAs, prepareAs } from '../support/connect-as.js';
import { InstalledDaemon } from '../support/installed-daemon.js';
import { DockerRegistry } from '../support/docker-registry.js';
import { isRoot } from '../unpack/sandbox.js';

const alice = 65_441;
const bob = 65_442;
const account = { username: 'alice', password: 'open sesame' };
const login = { username: account.username, password: Buffer.from(account.password), source: 'a test' };

// Without root there is one user only.
if (isRoot)
  describe('stowaged, with an image that only one of two users may use', function () {
    this.timeout(60_000);
    let registry: DockerRegistry;
    let daemon: InstalledDaemon;
    let reference: string;
    let digest: string;

    before(async () => {
      registry = await DockerRegistry.start({
        access: { kind: 'htpasswd', users: { alice: account.password } },
      });
      reference = await registry.push(await busyboxImage(), 'team/app:1', account);
      daemon = await InstalledDaemon.start(`[registries."${registry.host}"]\nhttp = true\n`);
      digest = (await planForAlice()).imageDigest ?? '';
    });
    after(async () => {
      await daemon.end();
      await registry.end();
    });

    const request = (image: string) => ({ client: { protocol, software: 'test' }, reference: image });
    const planForAlice = async () => {
      const answer = await prepareAs(alice, daemon.apiSocket, request(reference), login);
      assert.equal(answer.status, status.OK, answer.message);
      return answer.plan ?? assert.fail('no plan');
    };
    const redeem = (uid: number, ticket: Uint8Array): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const socket = connectAs(uid, daemon.blobSocket);
        socket.on('error', reject);
        socket.once('data', (answer: Buffer) => {
          socket.destroy();
          resolve(answer[0]);
        });
        socket.write(ticket);
      });

    it('refuses the other by tag and by digest: PERMISSION_DENIED, and nothing of the image', async () => {
      for (const image of [reference, `${registry.host}/team/app@${digest}`]) {
        const answer = await prepareAs(bob, daemon.apiSocket, request(image));
        assert.equal(answer.status, status.PERMISSION_DENIED, answer.message);
        assert.equal(answer.plan, undefined);
        assert.ok(answer.message.includes(registry.host), answer.message);
      }
    });

    it('refuses the other with a wrong password, and keeps it out of the log', async () => {
      const guess = { ...login, password: Buffer.from('guessed-by-bob') };
      const answer = await prepareAs(bob, daemon.apiSocket, request(reference), guess);
      assert.equal(answer.status, status.PERMISSION_DENIED, answer.message);
      assert.ok(!answer.message.includes('guessed-by-bob'));
      for (const secret of ['guessed-by-bob', account.password])
        assert.ok(!daemon.printed().includes(secret));
    });

    it('refuses the other who says that the tree is unpacked', async () => {
      const known = { ...request(`${registry.host}/team/app@${digest}`), unpackedDigests: [digest] };
      const answer = await prepareAs(bob, daemon.apiSocket, known);
      assert.equal(answer.status, status.PERMISSION_DENIED, answer.message);
    });

    it('opens a ticket for whom it was given to, not for the other who has got hold of it', async () => {
      const blobTicket = (await planForAlice()).blobTicket ?? Buffer.alloc(0);
      assert.equal(await redeem(bob, blobTicket), 1);
      assert.equal(await redeem(alice, blobTicket), 0);
    });

    it('asks the registry for no blob again for the one who may', async () => {
      registry.forgetRequests();
      await planForAlice();
      assert.deepEqual(await registry.settledRequests(/blobs/), []);
    });
  });
