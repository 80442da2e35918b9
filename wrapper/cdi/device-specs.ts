import type { DevicesConfig } from '../config/config.js';
import type { Log } from '../telemetry/log.js';
import { chooseDevices, wantsDevices } from './choose-devices.js';
import { DeviceCatalog } from './device-catalog.js';
import { type DevicePlan, noDevices, planDevices } from './plan-devices.js';
import { parseSpec, type Spec } from './spec.js';
import { listSpecs, readSpecFile, signatureOf } from './spec-file.js';
import { SpecProblem } from './spec-problem.js';

interface Kept {
  signature: string;
  outcome: Spec | SpecProblem;
}

/** The specifications of this node, read again when their files have changed. */
export class DeviceSpecs {
  #kept = new Map<string, Kept>();
  /** What the log was told of, until it is mended. */
  #told = new Set<string>();
  #reading: Promise<unknown> = Promise.resolve();

  constructor(private readonly log: Log) {}

  /**
   * All that can be had now. What lies in a later directory comes before what an earlier one has of the same name
   * (SPEC.md leaves it open; this is what its implementation does, and what CRI-O, containerd and podman do by it).
   */
  read(directories: readonly string[]): Promise<DeviceCatalog> {
    // One after another: each finds what the one before has read.
    const catalog = this.#reading.then(() => this.#read(directories));
    this.#reading = catalog.catch(() => undefined);
    return catalog;
  }

  /** What a container gets; see chooseDevices(). */
  async plan(
    asked: readonly string[],
    given: ReadonlyMap<string, string>,
    config: DevicesConfig,
  ): Promise<DevicePlan> {
    if (!wantsDevices(asked, given, config)) return noDevices;
    return planDevices(chooseDevices(await this.read(config.directories), asked, given, config));
  }

  async #read(directories: readonly string[]): Promise<DeviceCatalog> {
    const kept = new Map<string, Kept>();
    const problems: SpecProblem[] = [];
    const layers: Spec[][] = [];
    for (const directory of directories) {
      const specs: Spec[] = [];
      for (const outcome of await this.#readDirectory(directory, kept)) {
        if (outcome instanceof SpecProblem) problems.push(outcome);
        else specs.push(outcome);
      }
      layers.unshift(specs);
    }
    this.#kept = kept;
    this.#tell(problems);
    return new DeviceCatalog(layers, problems, directories);
  }

  async #readDirectory(directory: string, kept: Map<string, Kept>): Promise<(Spec | SpecProblem)[]> {
    let paths: string[];
    try {
      paths = await listSpecs(directory);
    } catch (error) {
      return [asProblem(error)];
    }
    const outcomes: (Spec | SpecProblem)[] = [];
    for (const path of paths) outcomes.push(await this.#readSpec(path, kept));
    return outcomes;
  }

  async #readSpec(path: string, kept: Map<string, Kept>): Promise<Spec | SpecProblem> {
    try {
      const before = this.#kept.get(path);
      if (before && before.signature === (await signatureOf(path))) {
        kept.set(path, before);
        return before.outcome;
      }
      const { content, signature } = await readSpecFile(path);
      const outcome = attempt(() => parseSpec(path, content));
      kept.set(path, { signature, outcome });
      return outcome;
    } catch (error) {
      return asProblem(error);
    }
  }

  #tell(problems: readonly SpecProblem[]): void {
    const messages = problems.map(({ message }) => message);
    for (const message of messages)
      if (!this.#told.has(message)) this.log.write('warning', 'device-specification', { message });
    this.#told = new Set(messages);
  }
}

function attempt(parse: () => Spec): Spec | SpecProblem {
  try {
    return parse();
  } catch (error) {
    return asProblem(error);
  }
}

function asProblem(error: unknown): SpecProblem {
  if (error instanceof SpecProblem) return error;
  throw error;
}
