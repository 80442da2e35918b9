import { Metadata, status, type StatusObject } from '@grpc/grpc-js';

import { type ErrorCode, StowageError } from '../error.js';

/** The gRPC status of every code. proto/stowage/v1/image.proto says what a client does with each. */
export const statusOfCode: Record<ErrorCode, status> = {
  'reference-malformed': status.INVALID_ARGUMENT,
  'option-invalid': status.INVALID_ARGUMENT,
  'option-denied': status.PERMISSION_DENIED,
  'settings-invalid': status.INVALID_ARGUMENT,
  'request-invalid': status.INVALID_ARGUMENT,
  'client-silent': status.UNAVAILABLE,
  'too-many-calls': status.RESOURCE_EXHAUSTED,
  'protocol-mismatch': status.FAILED_PRECONDITION,
  'caller-denied': status.PERMISSION_DENIED,
  'image-denied': status.PERMISSION_DENIED,
  'image-not-found': status.NOT_FOUND,
  'not-on-node': status.NOT_FOUND,
  'platform-not-found': status.NOT_FOUND,
  'image-malformed': status.FAILED_PRECONDITION,
  'image-unsupported': status.FAILED_PRECONDITION,
  'image-too-large': status.RESOURCE_EXHAUSTED,
  'device-unknown': status.NOT_FOUND,
  'device-unusable': status.FAILED_PRECONDITION,
  'content-mismatch': status.DATA_LOSS,
  'registry-denied': status.PERMISSION_DENIED,
  'registry-blocked': status.PERMISSION_DENIED,
  'login-refused': status.PERMISSION_DENIED,
  'registry-unreachable': status.UNAVAILABLE,
  'registry-failing': status.UNAVAILABLE,
  'registry-misbehaving': status.UNAVAILABLE,
  'store-full': status.RESOURCE_EXHAUSTED,
  'store-failing': status.UNAVAILABLE,
  'daemon-stopping': status.UNAVAILABLE,
  'config-invalid': status.INTERNAL,
  'start-refused': status.INTERNAL,
  'addon-missing': status.INTERNAL,
  internal: status.INTERNAL,
};

/** The trailer that carries the stable code. */
export const codeTrailer = 'stowage-code';

/** What a client is told. A defect shows no inner detail; the log has it. */
export function statusOf(error: StowageError): Partial<StatusObject> {
  const metadata = new Metadata();
  metadata.set(codeTrailer, error.code);
  return { code: statusOfCode[error.code], details: error.message, metadata };
}

/** Anything thrown, as one of ours. */
export function asStowageError(error: unknown): StowageError {
  if (error instanceof StowageError) return error;
  return new StowageError('internal', 'stowaged failed because of a defect; its log has the details', {
    cause: error,
  });
}
