import { stowage } from '#proto';

import { quote } from '../image/quote.js';
import { type AskedMount, refuseOption } from '../settings/options.js';
import { cleanInsideRoot, isAtOrBelow } from './host-path.js';
import type { HostDirectories, Mount } from './mounts.js';

const { Kind, Propagation } = stowage.v1.Mount;

const kinds = { bind: Kind.KIND_BIND_UNSPECIFIED, tmpfs: Kind.KIND_TMPFS, unmount: Kind.KIND_UNMOUNT };
const propagations = {
  private: Propagation.PROPAGATION_PRIVATE,
  slave: Propagation.PROPAGATION_SLAVE,
  shared: Propagation.PROPAGATION_SHARED,
  unbindable: Propagation.PROPAGATION_UNBINDABLE,
};
/** What programs take for the kernel's word. */
const kernelOwn = ['/proc', '/sys'];

/** What the user asked for, in that order. Throws `option-invalid`. */
export function planUserMounts(specs: readonly AskedMount[], host: HostDirectories): Mount[] {
  return specs.map((spec) => {
    const source = spec.kind === 'bind' ? sourceOf(spec, host) : '';
    const target = cleanInsideRoot(spec.target ?? source);
    refuseTarget(target, spec.origin);
    return {
      source,
      target,
      readOnly: spec.readOnly,
      optional: false,
      kind: kinds[spec.kind],
      noSuid: spec.noSuid,
      noDev: spec.noDev,
      noExec: spec.noExec,
      notRecursive: !spec.recursive,
      propagation: spec.propagation ? propagations[spec.propagation] : Propagation.PROPAGATION_UNSPECIFIED,
      propagationRecursive: spec.propagationRecursive,
      sizeBytes: spec.sizeBytes ?? 0,
      mode: spec.mode ?? 0,
      origin: spec.origin,
    };
  });
}

/** ".." is left to the kernel, which knows about symbolic links on the host. */
function sourceOf({ source, origin }: AskedMount, { home, working }: HostDirectories): string {
  if (source.startsWith('/')) return source;
  const isOfHome = source.startsWith('~');
  const start = isOfHome ? home : working;
  if (start === '') {
    const unknown = isOfHome ? 'your home directory' : "the job's working directory";
    return refuseOption(
      origin,
      `${quote(source)}: ${unknown} is not known on this node; write the path in full`,
    );
  }
  const rest = source.replace(/^[~.](?:\/+|$)/, '');
  return rest === '' ? start : `${start === '/' ? '' : start}/${rest}`;
}

function refuseTarget(target: string, origin: string): void {
  if (target === '/') refuseOption(origin, '"/" cannot be a target: it would hide the image');
  const own = kernelOwn.find((path) => isAtOrBelow(target, path));
  if (own !== undefined)
    refuseOption(origin, `${quote(target)} cannot be a target: ${own} is the kernel's; choose another`);
}
