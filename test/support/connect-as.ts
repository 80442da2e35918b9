import http2 from 'node:http2';
import { connect, type Socket } from 'node:net';

import { stowage } from '#proto';

import { isRoot } from '../unpack/sandbox.js';

/**
 * Connects to a unix socket as that user: the kernel tells the listener who it was at this moment. Without root
 * everybody is who runs the tests.
 */
export const connectAs = (uid: number, path: string): Socket => {
  if (!isRoot) return connect(path);
  process.seteuid?.(uid);
  try {
    // For a unix socket the system call is made before this returns.
    return connect(path);
  } finally {
    process.seteuid?.(0);
  }
};

/** Asks stowaged for its version, as that user; rejects when there is no answer within the time. */
export const versionFor = (uid: number, path: string, timeoutMs = 20_000): Promise<string> =>
  new Promise((resolve, reject) => {
    const session = http2.connect('http://localhost', { createConnection: () => connectAs(uid, path) });
    const finish = (act: () => void): void => {
      clearTimeout(timer);
      session.destroy();
      act();
    };
    const timer = setTimeout(() => finish(() => reject(new Error('no answer'))), timeoutMs);
    session.on('error', (error: Error) => finish(() => reject(error)));
    session.on('close', () => finish(() => reject(new Error('hung up'))));
    const request = session.request({
      ':method': 'POST',
      ':path': '/stowage.v1.ImageService/GetVersion',
      te: 'trailers',
      'content-type': 'application/grpc',
    });
    const pieces: Buffer[] = [];
    request.on('error', (error: Error) => finish(() => reject(error)));
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () =>
      finish(() => {
        // One message: a byte and four of length go before it.
        const { server } = stowage.v1.GetVersionResponse.decode(Buffer.concat(pieces).subarray(5));
        resolve(server?.software ?? '');
      }),
    );
    // An empty message.
    request.end(Buffer.alloc(5));
  });
