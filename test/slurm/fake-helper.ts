import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';

/** Not below /tmp, of which each node has one of its own. */
const directoryOf = (name: string): string => `/var/lib/stowage-test/${name}-helper-${process.pid}`;

/** Prints "asked for: image=IMAGE|NAME=VALUE|…|" for each --option, and refuses. */
const refusing = `#!/bin/sh
line='asked for: '
while [ $# -gt 0 ]; do
  case $1 in
  --image) line="\${line}image=$2|" ;;
  --option) line="$line$2|" ;;
  esac
  shift
done
printf '%s\\n' "$line" >&2
printf 'Ethe helper of the tests enters nothing\\0' >&3
`;

const libexecOf = (name: string, script: string): string => {
  const directory = directoryOf(name);
  mkdirSync(directory, { recursive: true });
  writeFileSync(`${directory}/stowage-enter`, script);
  chmodSync(`${directory}/stowage-enter`, 0o755);
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
};

/** Directory of a stowage-enter that shows what arrives in a step without the rest of the system. */
export const libexecOfFake = (): string => libexecOf('fake', refusing);

/** Directory of a stowage-enter that sleeps before it becomes the real one, if it is to prefetch. */
export const libexecOfSlow = (prefix: string, seconds: number): string =>
  libexecOf(
    'slow',
    `#!/bin/sh
case " $* " in *' --prefetch '*) sleep ${seconds} ;; esac
exec ${prefix}/libexec/stowage/stowage-enter "$@"
`,
  );
