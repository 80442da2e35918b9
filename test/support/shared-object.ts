/** Shared libraries of which only what the dynamic loader looks at matters, made by the compiler of this machine. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface SharedObject {
  /** None unless given. */
  soname?: string;
  /** Versions of symbols that it has: "GLIBC_2.36". */
  defines?: readonly string[];
  /** Versions that it wants from another one, by the other's soname: { 'libc.so.6': 'GLIBC_2.38' }. */
  needs?: Readonly<Record<string, string>>;
  /** C, for those that are to be run. */
  code?: string;
}

const symbolOf = (version: string): string => `symbol_${version.replace(/\W/g, '_')}`;

export function buildSharedObject(
  path: string,
  { soname, defines = [], needs = {}, code = '' }: SharedObject,
): void {
  const scratch = mkdtempSync(join(tmpdir(), 'stowage-library-'));
  try {
    const others = Object.entries(needs).map(([name, version], i) => {
      const other = join(scratch, `other${i}.so`);
      buildSharedObject(other, { soname: name, defines: [version] });
      return { other, symbol: symbolOf(version) };
    });
    writeFileSync(
      join(scratch, 'code.c'),
      [
        code,
        ...defines.map((version) => `void ${symbolOf(version)}(void) {}`),
        ...others.map(
          ({ symbol }) => `void ${symbol}(void); void *use_${symbol}(void) { return ${symbol}; }`,
        ),
        '',
      ].join('\n'),
    );
    writeFileSync(
      join(scratch, 'versions'),
      defines.map((version) => `${version} { global: ${symbolOf(version)}; };\n`).join(''),
    );
    mkdirSync(dirname(path), { recursive: true });
    execFileSync('cc', [
      ...['-shared', '-fPIC', '-nostdlib', '-o', path, join(scratch, 'code.c')],
      ...(soname === undefined ? [] : [`-Wl,-soname,${soname}`]),
      ...(defines.length > 0 ? [`-Wl,--version-script=${join(scratch, 'versions')}`] : []),
      ...['-Wl,--no-as-needed', ...others.map(({ other }) => other)],
    ]);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
