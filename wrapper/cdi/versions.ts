import type { SpecFile, WrittenEdits } from './schema.js';
import type { Keys, SpecText } from './spec-text.js';

/** Of SPEC.md, "Released versions": major and minor; a third number changes nothing in a specification. */
type Version = readonly [number, number];

const oldest: Version = [0, 3];
const newest: Version = [1, 1];

/** Throws SpecProblem for a version that Stowage does not read, and for what that version does not have yet. */
export function checkVersion(text: SpecText, file: SpecFile): void {
  const { cdiVersion, kind } = file;
  const match = /^(\d{1,4})\.(\d{1,4})\.\d{1,4}$/.exec(cdiVersion);
  const version: Version = [Number(match?.[1]), Number(match?.[2])];
  if (!match || isBefore(version, oldest) || isBefore(newest, version))
    throw text.problem(['cdiVersion'], `must be 0.3.0 to 1.1.0, not "${cdiVersion}"`, kind);
  const since = (first: Version, keys: Keys, what = 'is'): void => {
    if (isBefore(version, first))
      throw text.problem(
        keys,
        `${what} part of CDI ${first.join('.')}.0 and later; cdiVersion says ${cdiVersion}`,
        kind,
      );
  };
  if (kind.slice(kind.indexOf('/')).includes('.'))
    since([0, 6], ['kind'], 'has a dot after the slash, which is');
  if (file.annotations) since([0, 6], ['annotations']);
  if (file.containerEdits) checkEdits(file.containerEdits, ['containerEdits'], since);
  file.devices.forEach(({ name, annotations, containerEdits }, i) => {
    if (!/^[A-Za-z]/.test(name)) since([0, 5], ['devices', i, 'name'], 'begins with a digit, which is');
    if (annotations) since([0, 6], ['devices', i, 'annotations']);
    if (containerEdits) checkEdits(containerEdits, ['devices', i, 'containerEdits'], since);
  });
}

function checkEdits(edits: WrittenEdits, keys: Keys, since: (first: Version, keys: Keys) => void): void {
  edits.mounts?.forEach(({ type }, i) => {
    if (type !== undefined) since([0, 4], [...keys, 'mounts', i, 'type']);
  });
  edits.deviceNodes?.forEach(({ hostPath }, i) => {
    if (hostPath !== undefined) since([0, 5], [...keys, 'deviceNodes', i, 'hostPath']);
  });
  for (const name of ['intelRdt', 'additionalGids', 'additionalGIDs'] as const)
    if (edits[name]) since([0, 7], [...keys, name]);
  for (const name of ['schemata', 'enableMonitoring'])
    if (edits.intelRdt && name in edits.intelRdt) since([1, 1], [...keys, 'intelRdt', name]);
  if (edits.netDevices) since([1, 1], [...keys, 'netDevices']);
}

function isBefore([major, minor]: Version, [otherMajor, otherMinor]: Version): boolean {
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}
