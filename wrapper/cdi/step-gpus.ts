/** Which GPUs Slurm gave to a step, as its environment tells; docs/devices.md. */
export interface StepGpus {
  /** Numbers on this node, as Slurm counts. */
  indices: string[];
  /** "GPU-…" and "MIG-…", where the step was told these, and other names that are no numbers, such as "0:1". */
  names: string[];
}

/** What programs look at. In a step with a cgroup of its own they count from 0 whatever the GPU is. */
const visible = [
  'CUDA_VISIBLE_DEVICES',
  'ROCR_VISIBLE_DEVICES',
  'HIP_VISIBLE_DEVICES',
  'GPU_DEVICE_ORDINAL',
  'ZE_AFFINITY_MASK',
] as const;

/** Numbers of the whole node: Slurm's own. The second is for the batch script. */
const ofSlurm = ['SLURM_STEP_GPUS', 'SLURM_JOB_GPUS'] as const;

const mostGpus = 1024;

export function stepGpus(given: ReadonlyMap<string, string>): StepGpus {
  const seen = visible.map((name) => words(given.get(name))).find((list) => list.length > 0) ?? [];
  const ours = ofSlurm.map((name) => words(given.get(name))).find((list) => list.length > 0) ?? seen;
  return {
    indices: allNumbers(ours),
    names: seen.filter((word) => /^(?:GPU|MIG)-|^\d+:\d+$/.test(word)).slice(0, mostGpus),
  };
}

export function hasAny({ indices, names }: StepGpus): boolean {
  return indices.length > 0 || names.length > 0;
}

function words(value = ''): string[] {
  return value
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/** Stops when there are enough: each of many words may stand for many numbers. */
function allNumbers(list: readonly string[]): string[] {
  const all: string[] = [];
  for (const word of list) {
    if (all.length >= mostGpus) break;
    all.push(...numbers(word));
  }
  return all.slice(0, mostGpus);
}

/** "3" or "0-3"; "NoDevFiles" and "-1" are none. */
function numbers(word: string): string[] {
  const [, first, last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(word) ?? [];
  if (first === undefined) return [];
  const count = Math.max(Number(last) - Number(first) + 1, 0);
  return Array.from({ length: Math.min(count, mostGpus) }, (_, i) => String(Number(first) + i));
}
