// npm run bench: builds what is missing, then runs test/bench/main.ts in mount and process namespaces of its own, so
// that whatever becomes of it, no process and no mount outlives this one.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const namespaces = ['--mount', '--propagation', 'private', '--pid', '--mount-proc', '--fork', '--kill-child'];
const killAfterMs = 5_000;

const runContained = (args) =>
  new Promise((resolve) => {
    // Detached: a Ctrl-C must reach the benchmark through here, not the programs that it measures.
    const child = spawn('unshare', [...namespaces, '--', process.execPath, ...args], {
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    let lastResort;
    const stop = () => {
      // unshare itself does not listen; the benchmark is its only child.
      spawnSync('pkill', ['-TERM', '-P', String(child.pid)]);
      lastResort ??= setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    };
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, stop);
    child.once('error', ({ message }) => {
      console.error(`bench: ${message}`);
      resolve(1);
    });
    child.once('close', (code) => {
      clearTimeout(lastResort);
      resolve(code ?? 1);
    });
  });

const bench = async () => {
  if (process.getuid() !== 0) {
    console.error('bench: run it as root: it mounts a tmpfs, and runs what it measures as an ordinary user');
    return 1;
  }
  if (spawnSync(process.execPath, ['test/support/setup.mjs'], { stdio: 'inherit' }).status !== 0) return 1;
  mkdirSync('build/bench', { recursive: true });
  const scratch = mkdtempSync(join(tmpdir(), 'stowage-bench-'));
  const making = mkdtempSync('build/bench/making-');
  try {
    return await runContained(['build/js/test/bench/main.js', scratch, making, ...process.argv.slice(2)]);
  } finally {
    for (const directory of [scratch, making]) rmSync(directory, { recursive: true, force: true });
  }
};

process.exitCode = await bench();
