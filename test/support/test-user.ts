import { Client, credentials } from '@grpc/grpc-js';

import { addon } from '../../wrapper/addon/addon.js';
import type { Logins, Request, TestDaemon } from './test-daemon.js';

const patienceMs = 10_000;

/**
 * Somebody else than who runs the tests, with logins of their own. While they connect, what the kernel would say
 * about them is replaced, and nothing else is.
 */
export class TestUser {
  private constructor(
    private readonly daemon: TestDaemon,
    private readonly uid: number,
    private readonly logins: Logins,
    private readonly grpc: Client,
  ) {}

  static async connect(daemon: TestDaemon, uid: number, logins: Logins = {}): Promise<TestUser> {
    // A connection of their own: it is the connection that is somebody's.
    const grpc = new Client(`unix:${daemon.directory}/api.sock`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    await beingSeenAs(
      uid,
      () =>
        new Promise<void>((resolve, reject) =>
          grpc.waitForReady(Date.now() + patienceMs, (error) => (error ? reject(error) : resolve())),
        ),
    );
    return new TestUser(daemon, uid, logins, grpc);
  }

  prepare(request?: Request) {
    return this.daemon.prepare(request, this.logins, this.grpc);
  }

  plan(request?: Request) {
    return this.daemon.plan(request, this.logins, this.grpc);
  }

  redeem(ticket: Uint8Array | null | undefined): Promise<number | undefined> {
    return beingSeenAs(this.uid, () => this.daemon.redeem(ticket ?? Buffer.alloc(0)));
  }

  leave(): void {
    this.grpc.close();
  }
}

async function beingSeenAs<Result>(uid: number, work: () => Promise<Result>): Promise<Result> {
  const peerCredentials = addon.peerCredentials.bind(addon);
  addon.peerCredentials = (fd) => ({ ...peerCredentials(fd), uid });
  try {
    return await work();
  } finally {
    addon.peerCredentials = peerCredentials;
  }
}
