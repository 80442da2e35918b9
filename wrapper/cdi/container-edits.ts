import { cleanInsideRoot, isAtOrBelow } from '../plan/host-path.js';
import type { DeviceMount, DeviceNode, Edits } from './edits.js';
import { changeOf, mountKind, type MountFlags, noFlags } from './mount-options.js';
import { nativeHook } from './native-hooks.js';
import type { WrittenEdits, WrittenHook, WrittenMount, WrittenNode } from './schema.js';
import type { Keys, SpecText } from './spec-text.js';

/** Runs before the root directory changes: the only time at which a hook is the host's and sees the container. */
const hooksBeforeStart = ['prestart', 'createRuntime', 'createContainer'];
const longestPath = 4095;

/** What `written`, which stands at `keys`, asks for. Throws SpecProblem. */
export function readEdits(text: SpecText, written: WrittenEdits, keys: Keys, kind: string): Edits {
  const reader = new EditsReader(text, kind);
  return reader.read(written, keys);
}

class EditsReader {
  constructor(
    private readonly text: SpecText,
    private readonly kind: string,
  ) {}

  read(written: WrittenEdits, keys: Keys): Edits {
    const { env = [], deviceNodes = [], mounts = [], hooks = [] } = written;
    const edits: Edits = {
      environment: env.map((entry, i) => this.#variable(entry, [...keys, 'env', i])),
      nodes: deviceNodes.map((node, i) => this.#node(node, [...keys, 'deviceNodes', i])),
      mounts: mounts.map((mount, i) => this.#mount(mount, [...keys, 'mounts', i])),
      symlinks: [],
      libraryDirectories: [],
      hooks: [],
      groups: [...(written.additionalGids ?? []), ...(written.additionalGIDs ?? [])].filter(
        (gid) => gid !== 0,
      ),
      impossible: this.#impossible(written, keys),
    };
    hooks.forEach((hook, i) => this.#addHook(edits, hook, [...keys, 'hooks', i]));
    return edits;
  }

  #problem(keys: Keys, what: string) {
    return this.text.problem(keys, what, this.kind);
  }

  #variable(entry: string, keys: Keys): { name: string; value: string } {
    const equals = entry.indexOf('=');
    if (equals <= 0) throw this.#problem(keys, 'must be NAME=VALUE');
    return { name: entry.slice(0, equals), value: entry.slice(equals + 1) };
  }

  #absolute(path: string, keys: Keys): string {
    if (!path.startsWith('/')) throw this.#problem(keys, `must be an absolute path, not "${path}"`);
    if (Buffer.byteLength(path) > longestPath)
      throw this.#problem(keys, `is longer than ${longestPath} bytes`);
    return path;
  }

  /** Where the kernel's own files are, nothing can be put. */
  #target(path: string, keys: Keys): string {
    const clean = cleanInsideRoot(this.#absolute(path, keys));
    if (clean === '/') throw this.#problem(keys, 'must not be the root directory, which is the image');
    if (isAtOrBelow(clean, '/proc') || isAtOrBelow(clean, '/sys'))
      throw this.#problem(keys, "must not be in /proc or /sys, which are the host's");
    return clean;
  }

  #node(node: WrittenNode, keys: Keys): DeviceNode {
    const { type = '', major = 0, minor = 0 } = node;
    const path = this.#target(node.path, [...keys, 'path']);
    const source = node.hostPath ? this.#absolute(node.hostPath, [...keys, 'hostPath']) : path;
    return { source, path, type, major, minor };
  }

  #mount(mount: WrittenMount, keys: Keys): DeviceMount {
    const { type = '', options = [] } = mount;
    const isTmpfs = type === 'tmpfs';
    if (
      !isTmpfs &&
      !['', 'none', 'bind'].includes(type) &&
      !options.some((option) => /^r?bind$/.test(option))
    )
      throw this.#problem([...keys, 'type'], `must be bind or tmpfs, not "${type}": no user may mount that`);
    let flags: MountFlags = { ...noFlags, kind: isTmpfs ? mountKind.tmpfs : mountKind.bind };
    options.forEach((option, i) => {
      const change = changeOf(option, flags.kind);
      if (!change)
        throw this.#problem([...keys, 'options', i], `"${option}" is no option that Stowage knows`);
      flags = { ...flags, ...change };
    });
    return {
      ...flags,
      source: isTmpfs ? '' : this.#absolute(mount.hostPath, [...keys, 'hostPath']),
      target: this.#target(mount.containerPath, [...keys, 'containerPath']),
    };
  }

  #addHook(edits: Edits, hook: WrittenHook, keys: Keys): void {
    const path = this.#absolute(hook.path, [...keys, 'path']);
    const { args = [], env = [], timeout = 0 } = hook;
    env.forEach((entry, i) => this.#variable(entry, [...keys, 'env', i]));
    const native = nativeHook(hook);
    if (native) {
      edits.symlinks.push(...native.symlinks);
      edits.libraryDirectories.push(...native.libraryDirectories);
      return;
    }
    edits.hooks.push({
      path,
      arguments: args.length > 0 ? args : [path],
      environment: env,
      timeoutSeconds: timeout,
    });
  }

  /** The specification is right, and yet no user can have it. */
  #impossible({ intelRdt, netDevices = [], hooks = [] }: WrittenEdits, keys: Keys): string | undefined {
    if (intelRdt)
      return this.#problem(
        [...keys, 'intelRdt'],
        'cannot be given: only root may place processes in cache classes',
      ).message;
    if (netDevices.length > 0)
      return this.#problem([...keys, 'netDevices'], 'cannot be given: only root may move network devices')
        .message;
    const late = hooks.findIndex((hook) => !hooksBeforeStart.includes(hook.hookName) && !nativeHook(hook));
    if (late < 0) return undefined;
    return this.#problem(
      [...keys, 'hooks', late, 'hookName'],
      `is ${hooks[late]?.hookName ?? ''}, and Stowage runs hooks before the ranks start only: ${hooksBeforeStart.join(', ')}`,
    ).message;
  }
}
