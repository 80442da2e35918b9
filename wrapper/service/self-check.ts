import { Client, credentials } from '@grpc/grpc-js';

import { imageService } from '../rpc/definitions.js';

/**
 * Calls this daemon's own socket as any client does, on a connection of its own. Rejects unless GetVersion answers
 * within `limitMs`.
 */
export function answersItself(socket: string, limitMs: number): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = imageService.getVersion;
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_channelz': 0,
    'grpc.enable_http_proxy': 0,
  });
  return new Promise<void>((resolve, reject) => {
    const deadline = Date.now() + limitMs;
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, { deadline }, (error) => {
      if (error) reject(new Error(`GetVersion on ${socket} failed: ${error.message}`, { cause: error }));
      else resolve();
    });
  }).finally(() => client.close());
}
