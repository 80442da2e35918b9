import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { install } from '../cluster/install.js';
import { eventually } from './eventually.js';

const run = promisify(execFile);
const script = 'test/service/systemd-root.sh';
const namespaces = [
  '--mount',
  '--propagation',
  'private',
  '--pid',
  '--uts',
  '--ipc',
  '--cgroup',
  '--fork',
  '--kill-child',
];

/** Nothing of the test's own, which may name files that are not in there. */
const env = { PATH: '/usr/bin:/usr/sbin' };

/** What a command in there came to. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** A real systemd as process 1 of namespaces of its own, with Stowage installed below /opt/stowage. */
export class BootedSystemd {
  private constructor(
    private readonly directory: string,
    private readonly cgroup: string,
    private readonly unshare: ChildProcess,
    private readonly pid: number,
  ) {}

  /** `etc` are the files of /etc by their path below it. */
  static async boot(etc: Readonly<Record<string, string>>): Promise<BootedSystemd> {
    const directory = mkdtempSync(join(tmpdir(), 'systemd-'));
    for (const name of ['root', 'etc', 'prefix']) mkdirSync(join(directory, name), { mode: 0o755 });
    for (const [name, text] of Object.entries(etc)) {
      const path = join(directory, 'etc', name);
      mkdirSync(join(path, '..'), { recursive: true, mode: 0o755 });
      writeFileSync(path, text, { mode: 0o644 });
    }
    const prefix = join(directory, 'prefix');
    install(prefix);
    const cgroup = join(unifiedHierarchy(), `stowage-test-${process.pid}`);
    mkdirSync(cgroup);
    const places = ['root', 'etc', 'prefix'].map((name) => join(directory, name));
    const argv = [script, ...places, process.cwd(), process.execPath];
    // First into the cgroup, which then is the uppermost one that systemd sees.
    // If the tests are killed, so is all of this.
    const enter = 'echo $$ >"$1/cgroup.procs" && shift && exec setpriv --pdeathsig=KILL unshare "$@"';
    const child = spawn('sh', ['-c', enter, 'sh', cgroup, ...namespaces, '--', ...argv], {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    try {
      const pid = await eventually(
        async () => childOf(child.pid ?? 0),
        () => `unshare to fork; it said: ${said}`,
      );
      const booted = new BootedSystemd(directory, cgroup, child, pid);
      await eventually(
        async () =>
          (await booted.run(['systemctl', 'is-system-running'])).stdout.startsWith('running') || undefined,
        () => `systemd to be running; it said: ${said}`,
      );
      return booted;
    } catch (error) {
      await end(child, cgroup, directory);
      throw error;
    }
  }

  /** Runs a command in there, as root or as an ordinary user. */
  async run(argv: readonly string[], uid?: number): Promise<Outcome> {
    const user = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
    const inside = [
      '--target',
      String(this.pid),
      '--mount',
      '--pid',
      '--uts',
      '--ipc',
      '--cgroup',
      '--wdns=/',
      '--',
    ];
    try {
      const { stdout, stderr } = await run('nsenter', [...inside, ...user, ...argv], {
        timeout: 30_000,
        env,
      });
      return { code: 0, stdout, stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as Outcome;
      return { code, stdout, stderr };
    }
  }

  /** As `run`, but a failure is thrown with what was said. */
  async must(argv: readonly string[], uid?: number): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, uid);
    if (code !== 0) throw new Error(`${argv.join(' ')} failed (${code}): ${stdout}${stderr}`);
    return stdout;
  }

  /** A property of a unit, systemctl(1) "show". */
  async show(unit: string, property: string): Promise<string> {
    return (await this.must(['systemctl', 'show', '--value', '--property', property, unit])).trim();
  }

  /** Leaves no process, no mount, no cgroup. */
  end(): Promise<void> {
    return end(this.unshare, this.cgroup, this.directory);
  }
}

async function end(unshare: ChildProcess, cgroup: string, directory: string): Promise<void> {
  const closed = new Promise((resolve) => unshare.once('close', resolve));
  // unshare passes over SIGTERM; the kernel ends what was in the namespaces along with their first process.
  if (unshare.exitCode === null && unshare.kill('SIGKILL')) await closed;
  await eventually(
    async () => removeCgroup(cgroup) || undefined,
    () => `the cgroup ${cgroup} to be empty`,
  );
  rmSync(directory, { recursive: true });
}

function removeCgroup(path: string): boolean {
  try {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory() && !removeCgroup(join(path, entry.name))) return false;
    }
    rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Where the cgroups of version 2 are mounted. */
function unifiedHierarchy(): string {
  const [, place] = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8')) ?? [];
  if (place === undefined) throw new Error('no cgroup2 is mounted: systemd cannot be booted here');
  return place;
}

/** The first child, and only after it has become systemd. */
function childOf(pid: number): number | undefined {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
  if (!child) return undefined;
  return readFileSync(`/proc/${child}/comm`, 'utf8').startsWith('systemd') ? Number(child) : undefined;
}

/** The shipped files by their name in slurm-conf-examples/. */
export function shipped(name: string): string {
  return readFileSync(join('slurm-conf-examples', name), 'utf8');
}
