// Makes this machine ready to build and test Stowage: Debian packages, npm packages, the build. Whatever
// is in place already is left alone. Plain Node without imports from npm, which may not be there yet.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packages } from './packages.mjs';

const stamp = 'build/built';
const policy = '/usr/sbin/policy-rc.d';

const modified = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const step = (text, command, args, options = {}) => {
  console.log(`setup: ${text}`);
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], ...options });
  if (status !== 0)
    throw new Error(`${command} ${args.slice(0, 2).join(' ')} failed; what it printed stands above`);
};

const missingPackages = () => {
  const { stdout } = spawnSync(
    'dpkg-query',
    ['-W', '-f', '${Package} ${db:Status-Status}\n', ...Object.keys(packages)],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const installed = new Set(
    (stdout ?? '')
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0]),
  );
  return Object.keys(packages).filter((name) => !installed.has(name));
};

/** Runs `action` while Debian's packages may not start the services they bring. */
const withoutServices = (action) => {
  if (existsSync(policy)) return action();
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return action();
  } finally {
    rmSync(policy);
  }
};

const installPackages = () => {
  const missing = missingPackages();
  if (missing.length === 0) return;
  if (process.getuid() !== 0) {
    throw new Error(
      `these Debian packages are missing: ${missing.join(' ')}; run this as root or install them`,
    );
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const known = (name) => {
    const { stdout } = spawnSync('apt-cache', ['policy', name], {
      encoding: 'utf8',
      env: { ...env, LC_ALL: 'C' },
    });
    return /Candidate: (?!\(none\))/.test(stdout ?? '');
  };
  const install = ['install', '-qq', '--no-install-recommends', '-o', 'Dpkg::Use-Pty=0', '--', ...missing];
  const update = () => step('apt-get update', 'apt-get', ['update', '-qq'], { env });
  withoutServices(() => {
    const fresh = !missing.every(known);
    if (fresh) update();
    try {
      step(`installing ${missing.join(' ')}`, 'apt-get', ['-y', ...install], { env });
    } catch (error) {
      if (fresh) throw error;
      // The lists may name versions that the mirror no longer has.
      update();
      step('installing once more', 'apt-get', ['-y', ...install], { env });
    }
  });
};

const installModules = () => {
  // npm writes this file last.
  if (modified('node_modules/.package-lock.json') >= modified('package-lock.json')) return;
  step('npm ci', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
};

const newestIn = (path) => {
  if (!statSync(path).isDirectory()) return modified(path);
  const inside = readdirSync(path).map((name) => newestIn(join(path, name)));
  return Math.max(modified(path), ...inside);
};

const build = () => {
  const sources = [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'proto',
    'spank-plugin',
    'wrapper',
    'test',
  ];
  const started = new Date();
  if (modified(stamp) >= Math.max(...sources.map(newestIn))) return;
  step('npm run build', 'npm', ['run', '--silent', 'build']);
  mkdirSync('build', { recursive: true });
  writeFileSync(stamp, `${started.toISOString()}\n`);
};

try {
  if (!existsSync('/etc/debian_version')) {
    throw new Error(
      'only Debian and its kin are known here; see test/support/packages.mjs for what is needed',
    );
  }
  // test/debian-13.ts has brought both.
  if (process.env.STOWAGE_SETUP_PACKAGES !== 'no') {
    installPackages();
    installModules();
  }
  build();
} catch (error) {
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}
