import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { grpc, stowage } from '#proto';

import { decodeWeighed } from './message-weight.js';

const { v1 } = stowage;
const health = grpc.health.v1;

export type PrepareRequestMessage = stowage.v1.PrepareRequest;
export type PrepareResponseMessage = stowage.v1.PrepareResponse.$Properties;
export type ReportUnpackedRequestMessage = stowage.v1.ReportUnpackedRequest;
export type ReportUnpackedResponseMessage = stowage.v1.ReportUnpackedResponse.$Properties;
export type OptionMessage = stowage.v1.Option.$Properties;
export type ReadSettingsRequestMessage = stowage.v1.ReadSettingsRequest;
export type ReadSettingsResponseMessage = stowage.v1.ReadSettingsResponse.$Properties;
export type GetVersionResponseMessage = stowage.v1.GetVersionResponse.$Properties;
export type GetStatusResponseMessage = stowage.v1.GetStatusResponse.$Properties;
export type ListImagesRequestMessage = stowage.v1.ListImagesRequest;
export type ListImagesResponseMessage = stowage.v1.ListImagesResponse.$Properties;
export type PruneRequestMessage = stowage.v1.PruneRequest;
export type PruneResponseMessage = stowage.v1.PruneResponse.$Properties;
export type StoredImageMessage = stowage.v1.StoredImage.$Properties;
export type HealthCheckRequestMessage = grpc.health.v1.HealthCheckRequest;
export type HealthCheckResponseMessage = grpc.health.v1.HealthCheckResponse.$Properties;
export type ServingStatus = grpc.health.v1.HealthCheckResponse.ServingStatus;
export const ServingStatus = health.HealthCheckResponse.ServingStatus;
export type ProgressPhase = stowage.v1.Progress.Phase;
export const ProgressPhase = v1.Progress.Phase;
export const LocalFormat = v1.LocalImage.Format;
export const RequestedPull = v1.PullPolicy;

/** What protobufjs generates for a message, as far as gRPC needs it. */
interface Codec<Properties, Message> {
  encode(message: Properties): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
}

interface MethodTraits {
  requestStream?: boolean;
  responseStream?: boolean;
  /** See decodeWeighed. */
  crowded?: number;
}

function method<RequestProperties, Request extends object, ResponseProperties, Response>(
  path: string,
  request: Codec<RequestProperties, Request>,
  response: Codec<ResponseProperties, Response>,
  { requestStream = false, responseStream = false, crowded }: MethodTraits = {},
): MethodDefinition<RequestProperties, Response> {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: (message) => Buffer.from(request.encode(message).finish()),
    requestDeserialize: (bytes) =>
      decodeWeighed(bytes, (all) => request.decode(all), crowded) as unknown as RequestProperties,
    responseSerialize: (message) =>
      Buffer.from(response.encode(message as unknown as ResponseProperties).finish()),
    responseDeserialize: (bytes) => response.decode(bytes),
  };
}

/** Number of ReadSettingsRequest.files. */
const settingsFilesField = 4;

export const imageServiceName = 'stowage.v1.ImageService';

export const imageService = {
  prepare: method(`/${imageServiceName}/Prepare`, v1.PrepareRequest, v1.PrepareResponse, {
    requestStream: true,
    responseStream: true,
  }),
  reportUnpacked: method(
    `/${imageServiceName}/ReportUnpacked`,
    v1.ReportUnpackedRequest,
    v1.ReportUnpackedResponse,
  ),
  readSettings: method(`/${imageServiceName}/ReadSettings`, v1.ReadSettingsRequest, v1.ReadSettingsResponse, {
    crowded: settingsFilesField,
  }),
  getVersion: method(`/${imageServiceName}/GetVersion`, v1.GetVersionRequest, v1.GetVersionResponse),
} satisfies ServiceDefinition;

const nodeServiceName = 'stowage.v1.NodeService';

export const nodeService = {
  getStatus: method(`/${nodeServiceName}/GetStatus`, v1.GetStatusRequest, v1.GetStatusResponse),
  listImages: method(`/${nodeServiceName}/ListImages`, v1.ListImagesRequest, v1.ListImagesResponse),
  prune: method(`/${nodeServiceName}/Prune`, v1.PruneRequest, v1.PruneResponse),
} satisfies ServiceDefinition;

export const healthService = {
  check: method('/grpc.health.v1.Health/Check', health.HealthCheckRequest, health.HealthCheckResponse),
  watch: method('/grpc.health.v1.Health/Watch', health.HealthCheckRequest, health.HealthCheckResponse, {
    responseStream: true,
  }),
} satisfies ServiceDefinition;
