import assert from 'node:assert/strict';
import { Socket } from 'node:net';

import { Connections } from '../../wrapper/rpc/connections.js';

describe('Connections', () => {
  const warned: number[] = [];
  let connections: Connections;
  const admit = (uid: number): Socket | undefined => {
    const socket = new Socket();
    return connections.admit(uid, socket) ? socket : undefined;
  };
  const closed = async (socket: Socket | undefined): Promise<void> => {
    await new Promise((resolve) => socket?.once('close', resolve).destroy());
  };
  beforeEach(() => {
    warned.length = 0;
    connections = new Connections(2, 3, (uid) => warned.push(uid));
  });
  afterEach(() => connections.destroyAll());

  it('leave room for others when one user wants all', () => {
    assert.deepEqual([admit(1), admit(1), admit(1), admit(2)].map(Boolean), [true, true, false, true]);
    assert.equal(admit(3), undefined);
  });

  it('give room back when they close', async () => {
    const first = admit(1);
    admit(1);
    await closed(first);
    assert.ok(admit(1));
  });

  it('tell of a user once, until that user has none open', async () => {
    const open = [admit(1), admit(1)];
    for (let i = 0; i < 5; i++) admit(1);
    assert.deepEqual(warned, [1]);
    for (const socket of open) await closed(socket);
    for (let i = 0; i < 5; i++) admit(1);
    assert.deepEqual(warned, [1, 1]);
  });
});
