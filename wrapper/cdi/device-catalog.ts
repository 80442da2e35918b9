import { nearestName } from '../config/nearest-name.js';
import { StowageError } from '../error.js';
import type { Edits } from './edits.js';
import { type DeviceName, spellDevice } from './names.js';
import type { Spec } from './spec.js';
import type { SpecProblem } from './spec-problem.js';

export interface Device {
  name: DeviceName;
  edits: Edits;
  spec: Spec;
}

const mostListed = 20;

/** The devices of a node. `layers` are its directories, those that go first at the front. */
export class DeviceCatalog {
  constructor(
    private readonly layers: readonly (readonly Spec[])[],
    private readonly problems: readonly SpecProblem[],
    private readonly directories: readonly string[],
  ) {}

  /** Whether any specification is of that kind, be it one that cannot be used. */
  hasKind(kind: string): boolean {
    return this.#ofKind(kind).length > 0 || this.problems.some((problem) => problem.kind === kind);
  }

  has(name: DeviceName): boolean {
    return this.#ofKind(name.kind).some(({ devices }) => devices.has(name.device));
  }

  /** Throws `device-unusable` if a specification of that kind is bad, whether or not this device is in another one. */
  refuseBadKind(name: DeviceName): void {
    const problem = this.problems.find(({ kind }) => kind === name.kind);
    if (problem) throw unusable(name, problem.message);
  }

  /** Throws `device-unknown`, or `device-unusable` because of its specification. */
  find(name: DeviceName): Device {
    const { kind, device } = name;
    this.refuseBadKind(name);
    for (const layer of this.layers) {
      const [spec, other] = layer.filter(
        (candidate) => candidate.kind === kind && candidate.devices.has(device),
      );
      if (spec && other) throw unusable(name, `both ${spec.path} and ${other.path} describe it`);
      const edits = spec?.devices.get(device);
      if (!spec || !edits) continue;
      const impossible = edits.impossible ?? spec.common.impossible;
      if (impossible !== undefined) throw unusable(name, impossible);
      return { name, edits, spec };
    }
    throw this.#unknown(name);
  }

  /** "0, 1, all": for sentences. */
  listDevices(kind: string): string {
    return list(this.#devices(kind));
  }

  #ofKind(kind: string): Spec[] {
    return this.layers.flat().filter((spec) => spec.kind === kind);
  }

  #devices(kind: string): string[] {
    return [...new Set(this.#ofKind(kind).flatMap(({ devices }) => [...devices.keys()]))];
  }

  #unknown(name: DeviceName): StowageError {
    const specs = this.#ofKind(name.kind);
    if (specs.length > 0) {
      const there = `${list(specs.map(({ path }) => path))} describes ${this.listDevices(name.kind)}`;
      return new StowageError('device-unknown', `this node has no device ${spellDevice(name)}: ${there}`);
    }
    const kinds = [...new Set(this.layers.flat().map(({ kind }) => kind))].sort();
    const nearest = nearestName(name.kind, kinds);
    const there =
      kinds.length > 0
        ? `devices here are ${list(kinds)}${nearest === undefined ? '' : `; did you mean "${nearest}"?`}`
        : `there is no specification in ${list(this.directories)}`;
    // Any of them may be the one that is missed.
    const unread = this.problems.find(({ kind }) => kind === undefined);
    return new StowageError(
      'device-unknown',
      `this node has no device ${spellDevice(name)}: ${there}${unread ? `, and one cannot be used: ${unread.message}` : ''}`,
    );
  }
}

function unusable(name: DeviceName, why: string): StowageError {
  return new StowageError(
    'device-unusable',
    `device ${spellDevice(name)} cannot be used: ${why}; tell the administrators of this node`,
  );
}

function list(names: readonly string[]): string {
  const more = names.length - mostListed;
  return names.slice(0, mostListed).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
