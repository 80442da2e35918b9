/** What ranks find out about their container, told to the test through their output. */

/** One line of mountinfo; see proc_pid_mountinfo(5). */
export interface SeenMount {
  readonly target: string;
  /** Of this mount: "ro", "nosuid", … */
  readonly options: readonly string[];
  /** "shared", "master", "unbindable". */
  readonly propagation: readonly string[];
  readonly type: string;
  /** Of the file system: "size=1024k", … */
  readonly superOptions: readonly string[];
}

const unescaped = (field: string): string =>
  field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));

/** In order; the last of one target lies over the others. */
export const mountsIn = (mountinfo: string): SeenMount[] =>
  mountinfo
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [own = '', below = ''] = line.split(' - ');
      const [, , , , target = '', options = '', ...propagation] = own.split(' ');
      const [type = '', , superOptions = ''] = below.split(' ');
      return {
        target: unescaped(target),
        options: options.split(','),
        propagation: propagation.map((field) => field.replace(/:.*/, '')),
        type,
        superOptions: superOptions.split(','),
      };
    });

/** For sh -c '…' in a rank: runs commands without single quotes, whatever becomes of each. */
export const reporting = (commands: Readonly<Record<string, string>>): string =>
  Object.entries(commands)
    .map(([name, command]) => `echo "== ${name}"; { ${command}; } 2>&1`)
    .join('\n');

/** What each of these commands printed in one rank. */
export const reportIn = (output: string): Map<string, string> =>
  new Map(
    output
      .split(/^== /m)
      .slice(1)
      .map((part): [string, string] => {
        const end = part.indexOf('\n');
        return [part.slice(0, end), part.slice(end + 1).trimEnd()];
      }),
  );
