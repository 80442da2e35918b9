import { stowage } from '#proto';

import type { DevicePlan } from '../cdi/plan-devices.js';
import type { Config } from '../config/config.js';
import { describePlatform } from '../image/platform.js';
import type { Image } from '../image/image.js';
import { workdirOfImage, type NamespaceName } from '../settings/options.js';
import { planEnvironment, type PlannedVariable } from './environment.js';
import { cleanInsideRoot } from './host-path.js';
import { type Mount, planMounts } from './mounts.js';
import type { Wishes } from './wishes.js';

const { Namespace } = stowage.v1;

/** ContainerPlan of proto/stowage/v1/image.proto, whose comments say what each field means. */
export interface ContainerPlan extends Omit<DevicePlan, 'mounts' | 'environment'> {
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
  environment: PlannedVariable[];
  workingDirectory: string;
  workingDirectoryAskedFor: boolean;
  readOnlyRoot: boolean;
  rootUser: boolean;
  runEntrypoint: boolean;
  unshare: stowage.v1.Namespace[];
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

const namespaceNumbers: Readonly<Record<NamespaceName, stowage.v1.Namespace>> = {
  net: Namespace.NAMESPACE_NET,
  ipc: Namespace.NAMESPACE_IPC,
  uts: Namespace.NAMESPACE_UTS,
};

/**
 * Pure: what the container of one step looks like. `name` is what the image is called in full. An empty ticket
 * means that there is nothing to fetch.
 */
export function planContainer(
  name: string,
  image: Image,
  wishes: Wishes,
  blobTicket: Uint8Array,
  config: Config,
): ContainerPlan {
  const { host, options, devices } = wishes;
  const home = options.home ?? config.container.home;
  const environment = planEnvironment(image, name, wishes, home);
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
    mounts: [...planMounts(host, config.mounts, home), ...devices.mounts, ...wishes.mounts],
    unsetEnvironment: environment.unset,
    environment: environment.set,
    workingDirectory: cleanInsideRoot(
      chooseWorkingDirectory(options.workingDirectory, image.config.workingDirectory).replaceAll('\0', ''),
    ),
    workingDirectoryAskedFor: options.workingDirectory !== undefined,
    readOnlyRoot: !(options.writable ?? config.container.writable),
    rootUser: options.root,
    runEntrypoint: options.entrypoint,
    unshare: options.unshare.map((name) => namespaceNumbers[name]),
    budget: config.budget,
    mountSquashfs: config.image.squashfs === 'mount',
    notice: '',
    symlinks: devices.symlinks,
    libraryDirectories: devices.libraryDirectories,
    hooks: devices.hooks,
    automaticDevices: devices.automaticDevices,
    deviceGroups: devices.deviceGroups,
    deviceNodes: devices.deviceNodes,
  };
}

function chooseWorkingDirectory(asked: string | undefined, ofImage: string): string {
  return asked === undefined || asked === workdirOfImage ? ofImage : asked;
}
