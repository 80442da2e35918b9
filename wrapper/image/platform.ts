import { readFileSync } from 'node:fs';

import { StowageError } from '../error.js';
import type { Descriptor, Index, Platform } from './manifest.js';
import { quote } from './quote.js';

/** What this node runs; `variants` from the best to the least, "" for an image that names none. */
export interface NodePlatform {
  os: string;
  architecture: string;
  variants: string[];
}

const architectures: Partial<Record<NodeJS.Architecture, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm',
  ppc64: 'ppc64le',
  s390x: 's390x',
  riscv64: 'riscv64',
};

// System V ABI for x86-64, "Micro-Architecture Levels", in the names of /proc/cpuinfo.
const amd64Levels = [
  { variant: 'v2', flags: ['cx16', 'lahf_lm', 'popcnt', 'sse4_1', 'sse4_2', 'ssse3'] },
  { variant: 'v3', flags: ['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe', 'xsave'] },
  { variant: 'v4', flags: ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl'] },
];

export function amd64Variants(cpuFlags: ReadonlySet<string>): string[] {
  const variants = ['v1', ''];
  for (const { variant, flags } of amd64Levels) {
    if (!flags.every((flag) => cpuFlags.has(flag))) break;
    variants.unshift(variant);
  }
  return variants;
}

export function thisNode(): NodePlatform {
  const architecture = architectures[process.arch] ?? process.arch;
  return { os: 'linux', architecture, variants: variantsHere(architecture) };
}

function variantsHere(architecture: string): string[] {
  if (architecture === 'amd64') {
    const flags = /^flags\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
    return amd64Variants(new Set(flags.split(' ')));
  }
  if (architecture === 'arm64') return ['v8', ''];
  if (architecture === 'arm') return ['v7', 'v6', 'v5', ''];
  return [''];
}

export function describePlatform(platform: Platform): string {
  return [platform.os, platform.architecture, ...(platform.variant ? [platform.variant] : [])].join('/');
}

/** The entry of an index that runs best here; among equals the first, as image-index.md asks. */
export function selectPlatform(index: Index, node: NodePlatform, image: string): Descriptor {
  const rank = (platform: Platform | undefined): number =>
    platform?.os === node.os && platform.architecture === node.architecture
      ? node.variants.indexOf(platform.variant ?? '')
      : -1;
  const runnable = index.manifests.filter(({ platform }) => rank(platform) >= 0);
  const best = runnable.sort((a, b) => rank(a.platform) - rank(b.platform))[0];
  // An index may hold one entry that does not say what it is for; the image's configuration will.
  const only =
    index.manifests.length === 1 && index.manifests[0]?.platform === undefined
      ? index.manifests[0]
      : undefined;
  const chosen = best ?? only;
  if (chosen) return chosen;

  // BuildKit's attestations stand in the index as unknown/unknown.
  const offered = index.manifests.flatMap(({ platform }) =>
    platform && platform.os !== 'unknown' ? [quote(describePlatform(platform)).slice(1, -1)] : [],
  );
  throw new StowageError(
    'platform-not-found',
    `image ${image} is not made for ${node.os}/${node.architecture}, which this node needs; ` +
      (offered.length > 0
        ? `it exists for ${[...new Set(offered)].slice(0, 30).join(', ')}`
        : 'it names no platform at all'),
  );
}
