import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';

import { reasonOf, StowageError, systemErrorCode } from '../error.js';

/** sun_path of unix(7) holds 108 bytes, the last one a NUL. */
const longestPath = 107;

/**
 * Listens on a unix socket at `path`. What a crashed daemon left there is replaced; a listening one, or
 * anything that is not a socket, is left alone and refused with `start-refused`. Closing the server
 * removes the socket.
 */
export async function listenAt(
  path: string,
  mode: number,
  onConnection: (socket: Socket) => void,
  { allowHalfOpen = false } = {},
): Promise<Server> {
  if (Buffer.byteLength(path) > longestPath) {
    throw new StowageError(
      'start-refused',
      `socket ${path} has a path of ${Buffer.byteLength(path)} bytes, and ${longestPath} are the most; choose a shorter one`,
    );
  }
  const server = createServer({ allowHalfOpen }, onConnection);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await removeStale(path);
    await listen(server, path);
    await chmod(path, mode);
  } catch (error) {
    server.close();
    if (error instanceof StowageError) throw error;
    throw new StowageError('start-refused', `socket ${path} cannot be made (${reasonOf(error)})`, {
      cause: error,
    });
  }
  // Running out of descriptors is over in a moment; the connection that failed is the client's to repeat.
  server.on('error', () => undefined);
  return server;
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog: 1024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function removeStale(path: string): Promise<void> {
  let isSocket: boolean;
  try {
    isSocket = (await lstat(path)).isSocket();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    throw error;
  }
  if (!isSocket) {
    throw new StowageError(
      'start-refused',
      `${path} is in the way: it is not a socket; remove it or choose another path`,
    );
  }
  if (await somebodyListens(path)) {
    throw new StowageError(
      'start-refused',
      `another stowaged listens on ${path}: stop that one, or choose another path`,
    );
  }
  await unlink(path);
}

function somebodyListens(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => {
      const code = systemErrorCode(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false);
      else if (code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
}
