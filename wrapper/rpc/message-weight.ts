import protobuf from 'protobufjs/minimal.js';

/**
 * Fields of one message; no request has half as many. A field takes two bytes at least of what is sent, and some fifty
 * of memory once it is decoded.
 */
const mostFields = 20_000;
const bytesOfField = 64;

const weights = new WeakMap<object, number>();

/**
 * Decodes a message and remembers its weight. What has too many fields costs no memory: it becomes an empty message
 * of infinite weight.
 */
export function decodeWeighed<Message extends object>(
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => Message,
): Message {
  const fields = countFields(bytes);
  const message = decode(fields > mostFields ? new Uint8Array() : bytes);
  weights.set(message, fields > mostFields ? Infinity : 2 * bytes.length + bytesOfField * fields);
  return message;
}

/** About how many bytes of memory a message takes: decoded, and as it came, which grpc-js keeps until the next one. */
export function weightOf(message: object): number {
  return weights.get(message) ?? 0;
}

/** Those of the message itself; stops when there are too many. */
function countFields(bytes: Uint8Array): number {
  const reader = protobuf.Reader.create(bytes);
  let fields = 0;
  for (; reader.pos < reader.len && fields <= mostFields; fields++) reader.skipType(reader.uint32() & 7);
  return fields;
}
