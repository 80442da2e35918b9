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

export interface Answer {
  /** Of gRPC: 0, or why not. */
  readonly status: number;
  readonly message: string;
  readonly plan: stowage.v1.ContainerPlan.$Properties | undefined;
}

/** Calls Prepare as that user, who logs in as `login` if asked to. */
export const prepareAs = (
  uid: number,
  path: string,
  request: stowage.v1.PrepareRequest.$Properties,
  login: stowage.v1.Login.$Properties = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const session = http2.connect('http://localhost', { createConnection: () => connectAs(uid, path) });
    const call = session.request({
      ':method': 'POST',
      ':path': '/stowage.v1.ImageService/Prepare',
      te: 'trailers',
      'content-type': 'application/grpc',
    });
    const say = (message: stowage.v1.PrepareRequest.$Properties): void => {
      const bytes = stowage.v1.PrepareRequest.encode(message).finish();
      const head = Buffer.alloc(5);
      head.writeUInt32BE(bytes.length, 1);
      call.write(Buffer.concat([head, bytes]));
    };
    let received = Buffer.alloc(0);
    let plan: Answer['plan'];
    let outcome: http2.IncomingHttpHeaders = {};
    call.on('data', (piece: Buffer) => {
      received = Buffer.concat([received, piece]);
      while (received.length >= 5 && received.length >= 5 + received.readUInt32BE(1)) {
        const end = 5 + received.readUInt32BE(1);
        const event = stowage.v1.PrepareResponse.decode(received.subarray(5, end));
        received = received.subarray(end);
        plan ??= event.plan ?? undefined;
        if (event.loginWanted) say({ login: { ...login, registry: event.loginWanted.registry ?? '' } });
      }
    });
    // Of a call that is refused at once the status is among the first headers.
    for (const event of ['response', 'trailers'])
      call.on(event, (headers: http2.IncomingHttpHeaders) => (outcome = { ...outcome, ...headers }));
    for (const stream of [session, call]) stream.on('error', (error: Error) => reject(error));
    call.on('end', () => {
      session.destroy();
      const { 'grpc-status': status, 'grpc-message': message } = outcome;
      resolve({ status: Number(status), message: decodeURIComponent(String(message ?? '')), plan });
    });
    say(request);
  });
