import type { Config } from '../config/config.js';
import { describePlatform } from '../image/platform.js';
import type { Image } from '../image/image.js';
import { planEnvironment } from './environment.js';
import { cleanInsideRoot } from './host-path.js';
import { type HostDirectories, type Mount, planMounts } from './mounts.js';

/** ContainerPlan of proto/stowage/v1/image.proto, whose comments say what each field means. */
export interface ContainerPlan {
  canonicalReference: string;
  imageDigest: string;
  layers: PlannedLayer[];
  blobTicket: Uint8Array;
  blobSocket: string;
  config: {
    user: string;
    workingDirectory: string;
    entrypoint: string[];
    command: string[];
    platform: string;
  };
  mounts: Mount[];
  unsetEnvironment: string[];
  environment: { name: string; value: string }[];
  workingDirectory: string;
  budget: Config['budget'];
  mountSquashfs: boolean;
  notice: string;
}

export interface PlannedLayer {
  digest: string;
  diffId: string;
  mediaType: string;
  sizeBytes: number;
  member: string;
}

export function planLayers(image: Image): PlannedLayer[] {
  return image.layers.map(({ size, ...layer }) => ({ ...layer, sizeBytes: size }));
}

/**
 * Pure: what the container of one step looks like. `name` is what the image is called in full. An empty ticket
 * means that there is nothing to fetch.
 */
export function planContainer(
  name: string,
  image: Image,
  host: HostDirectories,
  blobTicket: Uint8Array,
  config: Config,
): ContainerPlan {
  const environment = planEnvironment(image, name);
  return {
    canonicalReference: name,
    imageDigest: image.digest,
    layers: planLayers(image),
    blobTicket,
    blobSocket: config.listen.blobSocket,
    config: {
      user: image.config.user,
      workingDirectory: image.config.workingDirectory,
      entrypoint: image.config.entrypoint,
      command: image.config.command,
      platform: describePlatform(image.config.platform),
    },
    mounts: planMounts(host, config.mounts),
    unsetEnvironment: environment.unset,
    environment: environment.set,
    workingDirectory: cleanInsideRoot(image.config.workingDirectory.replaceAll('\0', '')),
    budget: config.budget,
    mountSquashfs: config.image.squashfs === 'mount',
    notice: '',
  };
}
