import type { stowage } from '#proto';

/** What a device changes in a container, in the terms of ContainerPlan of proto/stowage/v1/image.proto. */
export interface Edits {
  environment: { name: string; value: string }[];
  nodes: DeviceNode[];
  mounts: DeviceMount[];
  symlinks: { target: string; path: string }[];
  libraryDirectories: string[];
  hooks: Hook[];
  /** Groups that the device's users should be in. */
  groups: number[];
  /** Why no container can have it, with file and line; undefined if one can. */
  impossible: string | undefined;
}

/** Mount of image.proto. */
export interface DeviceMount {
  source: string;
  target: string;
  kind: stowage.v1.Mount.Kind;
  readOnly: boolean;
  noSuid: boolean;
  noDev: boolean;
  noExec: boolean;
  propagation: stowage.v1.Mount.Propagation;
  propagationRecursive: boolean;
  sizeBytes: number;
  mode: number;
}

/** DeviceNode of image.proto. */
export interface DeviceNode {
  source: string;
  path: string;
  type: string;
  major: number;
  minor: number;
}

/** Hook of image.proto. */
export interface Hook {
  path: string;
  arguments: string[];
  environment: string[];
  timeoutSeconds: number;
}
