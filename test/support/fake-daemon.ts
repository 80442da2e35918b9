/** Stand-ins for stowaged on a unix socket: a right one over grpc-js, and ones that say whatever a test likes. */
import { chmodSync } from 'node:fs';
import {
  createServer as createHttp2Server,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';

import {
  type handleUnaryCall,
  type MethodDefinition,
  Server as GrpcServer,
  ServerCredentials,
  type ServerDuplexStream,
} from '@grpc/grpc-js';

import { stowage } from '#proto';

import { protocol } from '../../wrapper/package-root.js';
import {
  imageService,
  type PrepareRequestMessage,
  type PrepareResponseMessage,
  type ReadSettingsResponseMessage,
} from '../../wrapper/rpc/definitions.js';

const { v1 } = stowage;

/** A call under way, and its first message. */
export type PrepareCall = ServerDuplexStream<PrepareRequestMessage, PrepareResponseMessage> & {
  readonly request: PrepareRequestMessage;
};
export type Close = () => Promise<void>;

export const welcome: PrepareResponseMessage = { welcome: { protocol, software: 'stowaged 9.9.9' } };

/** The bytes of one message as gRPC frames it. */
export function frame(event: PrepareResponseMessage): Buffer {
  const message = v1.PrepareResponse.encode(event).finish();
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

const prepare: MethodDefinition<PrepareRequestMessage, PrepareResponseMessage> = {
  ...imageService.prepare,
  requestStream: true,
} as never;

/** Serves Prepare with `handler`, or without one speaks gRPC and knows no such method; the same for the others. */
export async function listenGrpc(
  path: string,
  handler?: (call: PrepareCall) => void,
  onReport?: (report: stowage.v1.ReportUnpackedRequest, answer: () => void) => void,
  onSettings?: (request: stowage.v1.ReadSettingsRequest) => ReadSettingsResponseMessage,
): Promise<Close> {
  const server = new GrpcServer({ 'grpc.max_receive_message_length': 8 << 20 });
  if (handler) {
    const answer = (call: ServerDuplexStream<PrepareRequestMessage, PrepareResponseMessage>): void => {
      call.once('data', (request: PrepareRequestMessage) => handler(Object.assign(call, { request })));
    };
    server.addService({ prepare }, { prepare: answer });
  }
  if (onReport) {
    const { reportUnpacked } = imageService;
    const answer: handleUnaryCall<stowage.v1.ReportUnpackedRequest, object> = (call, done) =>
      onReport(call.request, () => done(null, {}));
    server.addService({ reportUnpacked }, { reportUnpacked: answer });
  }
  if (onSettings) {
    const { readSettings } = imageService;
    const answer: handleUnaryCall<stowage.v1.ReadSettingsRequest, ReadSettingsResponseMessage> = (
      call,
      done,
    ) => done(null, onSettings(call.request));
    server.addService({ readSettings }, { readSettings: answer });
  }
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
  chmodSync(path, 0o666);
  return async () => server.forceShutdown();
}

/** HTTP/2 as it should be; what the stream says is up to `onStream`. */
export async function listenHttp2(
  path: string,
  onStream: (stream: ServerHttp2Stream) => void,
): Promise<Close> {
  const server = createHttp2Server();
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
  });
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    onStream(stream);
  });
  await listen(server, path);
  return async () => {
    for (const session of sessions) session.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
}

/** No protocol at all. */
export async function listenRaw(path: string, onConnection: (socket: Socket) => void): Promise<Close> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  await listen(server, path);
  return async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
}

async function listen(server: Server | Http2Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o666);
}
