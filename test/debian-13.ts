/** Runs a command in a copy of this checkout, in a Debian 13 of its own: there Slurm is 24.11. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { updateCheckout } from './support/debian-13/checkout.js';
import { debianRoot } from './support/debian-13/root.js';

const usage = 'usage: npm run debian-13 -- COMMAND [ARGUMENT...]';

const cache = resolve('build/debian-13');
const namespaces = ['--mount', '--propagation', 'private', '--pid', '--mount-proc', '--ipc', '--uts'];

const say = (what: string): void => console.log(`debian-13: ${what}`);

/** What those left that were killed. */
const removeLeftScratch = (): void => {
  for (const name of readdirSync(cache).filter((entry) => entry.startsWith('run-'))) {
    const pid = Number(/^run-(\d+)-/.exec(name)?.[1]);
    try {
      process.kill(pid, 0);
    } catch {
      rmSync(`${cache}/${name}`, { recursive: true, force: true });
    }
  }
};

/** What is set there; of here only what says how to reach the network and whether to use colours. */
const environment = (): Record<string, string | undefined> => ({
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  // What setup.mjs would look for is there: Debian's packages in that root, and npm's of this checkout.
  STOWAGE_SETUP_PACKAGES: 'no',
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => /^(.*_proxy|TERM|NO_COLOR|FORCE_COLOR)$/i.test(name)),
  ),
});

/** Nothing that it started and nothing that it mounted outlives it, whatever becomes of it. */
const runInside = (argv: readonly string[], signal: AbortSignal): Promise<number> =>
  new Promise((done, reject) => {
    const child = spawn('unshare', [...namespaces, '--fork', '--kill-child', '--', ...argv], {
      env: environment(),
      stdio: 'inherit',
    });
    signal.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
    if (signal.aborted) child.kill('SIGKILL');
    child.once('error', reject);
    child.once('close', (code) => {
      done(code ?? 1);
    });
  });

const main = async (command: readonly string[]): Promise<number> => {
  const interruption = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(name, () => {
      interruption.abort(new Error(`ended by ${name}`));
    });
  const { signal } = interruption;
  if (command.length === 0) {
    console.error(usage);
    return 2;
  }
  if (process.getuid?.() !== 0) {
    console.error('debian-13: run it as root: it mounts file systems and starts daemons of several users');
    return 1;
  }
  const root = await debianRoot(cache, say, signal);
  removeLeftScratch();
  const checkout = `${cache}/checkout`;
  updateCheckout(checkout);
  const scratch = mkdtempSync(`${cache}/run-${process.pid}-`);
  say(`running ${command.join(' ')}`);
  try {
    const enter = resolve('test/support/debian-13/enter.sh');
    return await runInside([enter, root, scratch, checkout, resolve('node_modules'), ...command], signal);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
};

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`debian-13: ${(error as Error).message}`);
  process.exitCode = 1;
}
