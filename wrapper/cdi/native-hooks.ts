import { posix } from 'node:path';

import { cleanInsideRoot } from '../plan/host-path.js';
import type { WrittenHook } from './schema.js';

/** What a hook does to a container, where Stowage does the same without running it. */
export interface NativeHook {
  symlinks: { target: string; path: string }[];
  libraryDirectories: string[];
}

type Flags = ReadonlyMap<string, readonly string[]>;

interface Command {
  /** Those that change nothing of what is done here have no place in `of`. */
  flags: readonly string[];
  /** Undefined if it is better left to the program. */
  of(flags: Flags): NativeHook | undefined;
}

const nothing: NativeHook = { symlinks: [], libraryDirectories: [] };
const directories = (flags: Flags): NativeHook => ({
  symlinks: [],
  libraryDirectories: (flags.get('--folder') ?? []).map(cleanInsideRoot),
});

/** Of `nvidia-ctk hook` and `nvidia-cdi-hook`, NVIDIA Container Toolkit. */
const commands: Readonly<Record<string, Command>> = {
  'create-symlinks': { flags: ['--link'], of: symlinks },
  'update-ldcache': { flags: ['--folder', '--ldconfig-path'], of: directories },
  // A part of what ldconfig does.
  'create-soname-symlinks': { flags: ['--folder', '--ldconfig-path'], of: directories },
  // Modes of host files: they are the administrators', and a rank is the same user in the container.
  chmod: { flags: ['--mode', '--path'], of: () => nothing },
  // Keeps a driver's library from making device nodes, which no rank can anyway.
  'disable-device-node-modification': { flags: [], of: () => nothing },
};

/** Undefined for a hook that has to be run. */
export function nativeHook({ path, args = [] }: WrittenHook): NativeHook | undefined {
  const program = posix.basename(path);
  if (program !== 'nvidia-ctk' && program !== 'nvidia-cdi-hook') return undefined;
  const rest = args.slice(args[1] === 'hook' || args[1] === 'cdi-hook' ? 2 : 1);
  const name = rest[0] ?? '';
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  const flags = command && parseFlags(rest.slice(1), command.flags);
  return flags && command.of(flags);
}

/** Undefined if there is anything but these, each with a value: "--folder X", "--folder=X". */
function parseFlags(args: readonly string[], known: readonly string[]): Flags | undefined {
  const flags = new Map<string, string[]>();
  for (let i = 0; i < args.length; i++) {
    const [, name = '', inline] = /^(--[a-z-]+)(?:=(.*))?$/s.exec(args[i] ?? '') ?? [];
    const value = inline ?? args[++i];
    if (!known.includes(name) || value === undefined) return undefined;
    flags.set(name, [...(flags.get(name) ?? []), value]);
  }
  return flags;
}

/** Of "--link target::link". */
function symlinks(flags: Flags): NativeHook | undefined {
  const links = (flags.get('--link') ?? []).map((text) => text.split('::'));
  if (links.some((parts) => parts.length !== 2 || parts.includes(''))) return undefined;
  return {
    symlinks: links.map(([target = '', path = '']) => ({ target, path: cleanInsideRoot(path) })),
    libraryDirectories: [],
  };
}
