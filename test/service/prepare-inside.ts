/** prepare-inside SOCKET REFERENCE [UNIX_MS]: asks a stowaged for an image, as whoever runs it, and prints the plan's digest. */
import { Client, credentials } from '@grpc/grpc-js';

import { protocol } from '../../wrapper/package-root.js';
import { imageService, type PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';

const [socket = '', reference = ''] = process.argv.slice(2);
const client = new Client(`unix:${socket}`, credentials.createInsecure());
const { path, requestSerialize, responseDeserialize } = imageService.prepare;
const call = client.makeBidiStreamRequest(
  path,
  requestSerialize as (request: object) => Buffer,
  responseDeserialize as (bytes: Buffer) => PrepareResponseMessage,
);
call.write({ client: { protocol, software: 'test' }, reference });
call.end();
try {
  for await (const event of call) {
    const { plan } = event as PrepareResponseMessage;
    if (plan) console.log(plan.imageDigest);
  }
} catch (error) {
  console.log(String(error));
  process.exitCode = 1;
}
client.close();
