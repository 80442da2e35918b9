/** The names of SPEC.md, "Kind" and "CDI Devices". */

/** "nvidia.com/gpu=0" */
export interface DeviceName {
  /** "nvidia.com/gpu" */
  kind: string;
  device: string;
}

// As the implementation of the specification has them, and spank-plugin/device_name.c.
const kindPart = /^[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$/;
// Colons are not in the text of the specification, but in its implementations: MIG devices are "0:1".
const devicePattern = /^[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?$/;
const longestVendor = 253;
const longestClass = 63;
const longestDevice = 255;

export function isKind(kind: string): boolean {
  const slash = kind.indexOf('/');
  const vendor = kind.slice(0, Math.max(slash, 0));
  const deviceClass = kind.slice(slash + 1);
  return (
    vendor.length <= longestVendor &&
    kindPart.test(vendor) &&
    deviceClass.length <= longestClass &&
    kindPart.test(deviceClass)
  );
}

export function isDevice(device: string): boolean {
  return device.length <= longestDevice && devicePattern.test(device);
}

/** Undefined if it is no "vendor/class=name". */
export function parseDeviceName(text: string): DeviceName | undefined {
  const equals = text.indexOf('=');
  const kind = text.slice(0, Math.max(equals, 0));
  const device = text.slice(equals + 1);
  return isKind(kind) && isDevice(device) ? { kind, device } : undefined;
}

export function spellDevice({ kind, device }: DeviceName): string {
  return `${kind}=${device}`;
}
