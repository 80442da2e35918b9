import protobuf from 'protobufjs/minimal.js';

/**
 * Fields of one message, and of those in it that may hold many; no request needs as many. A field takes two bytes at
 * least of what is sent, and some fifty of memory once it is decoded.
 */
const mostFields = 50_000;
const bytesOfField = 64;

/** The wire type of messages. */
const lengthDelimited = 2;

const weights = new WeakMap<object, number>();

/**
 * Decodes a message and remembers its weight. What has too many fields costs no memory: it becomes an empty message
 * of infinite weight. `crowded` is the number of the field whose messages may hold many fields themselves; all others
 * have as many as the .proto file says.
 */
export function decodeWeighed<Message extends object>(
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => Message,
  crowded?: number,
): Message {
  const fields = countFields(bytes, crowded);
  const message = decode(fields > mostFields ? new Uint8Array() : bytes);
  weights.set(message, fields > mostFields ? Infinity : 2 * bytes.length + bytesOfField * fields);
  return message;
}

/** About how many bytes of memory a message takes: decoded, and as it came, which grpc-js keeps until the next one. */
export function weightOf(message: object): number {
  return weights.get(message) ?? 0;
}

/** Stops when there are too many. */
function countFields(bytes: Uint8Array, crowded?: number): number {
  const reader = protobuf.Reader.create(bytes);
  let fields = 0;
  while (reader.pos < reader.len && fields <= mostFields) {
    const tag = reader.uint32();
    fields++;
    if (tag === crowdedTag(crowded)) fields += countFields(reader.bytes());
    else reader.skipType(tag & 7);
  }
  return fields;
}

function crowdedTag(field: number | undefined): number | undefined {
  return field === undefined ? undefined : (field << 3) | lengthDelimited;
}
