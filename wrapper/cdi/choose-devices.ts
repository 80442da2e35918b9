import type { DevicesConfig } from '../config/config.js';
import { StowageError } from '../error.js';
import { quote } from '../image/quote.js';
import type { Device, DeviceCatalog } from './device-catalog.js';
import { type DeviceName, parseDeviceName, spellDevice } from './names.js';
import { hasAny, type StepGpus, stepGpus } from './step-gpus.js';

/** The devices of one container. */
export interface ChosenDevices {
  devices: Device[];
  /** Those of them that came without the user naming them. */
  automatic: ReadonlySet<Device>;
}

/** In place of a name: nothing but what is named besides. */
const none = 'none';
const mostNames = 256;

/**
 * What a step gets: the site's defaults, the GPUs that Slurm gave it, and what the user named. `asked` are the values
 * of --image-device, each with one name or several; who names a GPU chooses among the GPUs. Throws `device-unknown`
 * and `device-unusable`.
 */
export function chooseDevices(
  catalog: DeviceCatalog,
  asked: readonly string[],
  given: ReadonlyMap<string, string>,
  config: DevicesConfig,
): ChosenDevices {
  const names = asked.flatMap((value) => value.split(',')).map((name) => name.trim());
  if (names.length > mostNames) throw refused(`names more than ${mostNames} devices`);
  const named = names.filter((name) => name !== none).map(readName);
  const automatic = names.includes(none)
    ? []
    : [...config.default.map(readName), ...gpuNames(catalog, stepGpus(given), named, config.gpuKinds)];
  const chosen = new Map<string, Device>();
  for (const name of [...automatic, ...named]) chosen.set(spellDevice(name), catalog.find(name));
  const explicit = new Set(named.map(spellDevice));
  return {
    devices: [...chosen.values()],
    automatic: new Set([...chosen].filter(([name]) => !explicit.has(name)).map(([, device]) => device)),
  };
}

/** Whether it matters at all what specifications there are. */
export function wantsDevices(
  asked: readonly string[],
  given: ReadonlyMap<string, string>,
  config: DevicesConfig,
): boolean {
  return asked.length > 0 || config.default.length > 0 || hasAny(stepGpus(given));
}

function readName(text: string): DeviceName {
  const name = parseDeviceName(text);
  if (!name)
    throw refused(`${quote(text)} is no device; they are written vendor/class=name, as in nvidia.com/gpu=0`);
  return name;
}

function refused(problem: string): StowageError {
  return new StowageError('option-invalid', `--image-device: ${problem}`);
}

function gpuNames(
  catalog: DeviceCatalog,
  gpus: StepGpus,
  named: readonly DeviceName[],
  kinds: readonly string[],
): DeviceName[] {
  if (!hasAny(gpus)) return [];
  return kinds
    .filter((kind) => catalog.hasKind(kind) && !named.some((name) => name.kind === kind))
    .flatMap((kind) => gpusOfKind(catalog, gpus, kind));
}

/**
 * By the names that the step was told, else by number, else all of them: which of them can be opened is for the
 * step's cgroup to say. Slurm's numbers of MIG devices are not the driver's.
 */
function gpusOfKind(catalog: DeviceCatalog, { indices, names }: StepGpus, kind: string): DeviceName[] {
  const [first = 'all'] = [...names, ...indices];
  catalog.refuseBadKind({ kind, device: first });
  const isMig = names.some((name) => !name.startsWith('GPU-'));
  for (const candidates of [names, isMig ? [] : indices]) {
    const devices = candidates.map((device) => ({ kind, device }));
    if (devices.length > 0 && devices.every((name) => catalog.has(name))) return devices;
  }
  const all = { kind, device: 'all' };
  if (catalog.has(all)) return [all];
  throw new StowageError(
    'device-unknown',
    `Slurm gave this step GPU ${(names.length > 0 ? names : indices).join(', ')}, and ${kind} has ${catalog.listDevices(kind)} only; ` +
      'tell the administrators of this node, or run without by --image-device=none',
  );
}
