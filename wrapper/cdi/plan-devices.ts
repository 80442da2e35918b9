import { spellDevice } from './names.js';
import type { ChosenDevices } from './choose-devices.js';
import type { DeviceMount, DeviceNode, Edits, Hook } from './edits.js';

/** A part of ContainerPlan of proto/stowage/v1/image.proto, whose comments say what each field means. */
export interface DevicePlan {
  mounts: (DeviceMount & { origin: string; optional: boolean })[];
  environment: { name: string; value: string }[];
  symlinks: { target: string; path: string }[];
  libraryDirectories: string[];
  hooks: (Hook & { device: string })[];
  automaticDevices: string[];
  deviceGroups: { gid: number; device: string }[];
  deviceNodes: (DeviceNode & { device: string })[];
}

export const noDevices: DevicePlan = {
  mounts: [],
  environment: [],
  symlinks: [],
  libraryDirectories: [],
  hooks: [],
  automaticDevices: [],
  deviceGroups: [],
  deviceNodes: [],
};

/** What is for all devices of a specification comes once, after the first of them. What is said twice is done once. */
export function planDevices({ devices, automatic }: ChosenDevices): DevicePlan {
  const edits: [string, Edits][] = [];
  const seen = new Set<Edits>();
  for (const device of devices) {
    const origin = spellDevice(device.name);
    edits.push([origin, device.edits]);
    if (!seen.has(device.spec.common)) edits.push([origin, device.spec.common]);
    seen.add(device.spec.common);
  }
  return {
    mounts: planMounts(edits),
    environment: [
      ...new Map(
        edits.flatMap(([, { environment }]) => environment.map((entry) => [entry.name, entry])),
      ).values(),
    ],
    symlinks: [
      ...new Map(edits.flatMap(([, { symlinks }]) => symlinks.map((link) => [link.path, link]))).values(),
    ],
    libraryDirectories: [...new Set(edits.flatMap(([, { libraryDirectories }]) => libraryDirectories))],
    hooks: distinct(edits.flatMap(([device, { hooks }]) => hooks.map((hook) => ({ ...hook, device })))),
    automaticDevices: [...automatic].map(({ name }) => spellDevice(name)),
    deviceNodes: [
      ...new Map(
        edits.flatMap(([device, { nodes }]) => nodes.map((node) => [node.path, { ...node, device }])),
      ).values(),
    ],
    deviceGroups: edits.flatMap(([device, { groups }]) => groups.map((gid) => ({ gid, device }))),
  };
}

/** Of two on the same target the later one stays; what is mounted below comes after what it is below. */
function planMounts(edits: readonly [string, Edits][]): DevicePlan['mounts'] {
  const byTarget = new Map(
    edits.flatMap(([origin, { mounts }]) =>
      mounts.map((mount) => [mount.target, { ...mount, origin, optional: false }]),
    ),
  );
  const depth = ({ target }: DeviceMount): number => target.split('/').length;
  return [...byTarget.values()].sort((a, b) => depth(a) - depth(b));
}

function distinct<Item extends { device: string }>(hooks: readonly Item[]): Item[] {
  const byContent = new Map<string, Item>();
  for (const hook of hooks) {
    const content = JSON.stringify({ ...hook, device: '' });
    if (!byContent.has(content)) byContent.set(content, hook);
  }
  return [...byContent.values()];
}
