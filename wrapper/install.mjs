// Installs what was built: npm run install:prefix -- PREFIX, /usr on a real node. What it writes is
// readable by everybody, whatever the umask and wherever the checkout lies.
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const from = (path) => join(root, path);

const makeDirectory = (path) => {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  makeDirectory(dirname(path));
  mkdirSync(path);
  chmodSync(path, 0o755);
};

/** Puts the new file in place by rename: the old one may be mapped into a running program. */
const place = (target, mode, write) => {
  const half = join(dirname(target), `.${basename(target)}.new`);
  makeDirectory(dirname(target));
  write(half);
  chmodSync(half, mode);
  renameSync(half, target);
};

const copyFile = (source, target, mode) => {
  place(target, mode, (half) => copyFileSync(source, half));
};

const copyTree = (source, target, wanted) => {
  makeDirectory(target);
  for (const entry of readdirSync(source, { withFileTypes: true })) {
    const [path, copy] = [join(source, entry.name), join(target, entry.name)];
    if (entry.isDirectory()) copyTree(path, copy, wanted);
    else if (entry.isFile() && wanted(entry.name)) copyFile(path, copy, 0o644);
  }
};

/** Directories of the npm packages that stowage and stowaged need to run. */
const productionModules = () =>
  execFileSync('npm', ['ls', '--omit=dev', '--all', '--parseable', '--loglevel=error'], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\n')
    .filter((line) => line.startsWith(from('node_modules/')));

/**
 * Options of Node. The daemon stays on the node for ever, and mostly waits: a small heap that is collected often costs
 * it nothing, and it collects what downloads left when they are over. Sizes are in megabytes; large buffers lie outside.
 */
const nodeOptions = {
  stowage: '',
  stowaged: '--max-semi-space-size=1 --max-old-space-size=128 --expose-gc ',
};

const launcher = (program) => `#!/bin/sh
# The Node on the PATH, else the one that Stowage was installed with.
here=$(dirname "$(readlink -f "$0")") || exit 1
node=$(command -v node) || node=${process.execPath}
if ! [ -x "$node" ]; then
    echo "$(basename "$0"): no Node.js is to be found; install version 20.19 or later" >&2
    exit 1
fi
exec "$node" ${nodeOptions[program]}"$here/../lib/stowage/build/js/wrapper/${program}.js" "$@"
`;

const install = (prefix) => {
  // What nobody can read nobody can trace (ptrace(2)): stowage-enter cleans up after a job outside of its cgroup.
  copyFile(from('build/libexec/stowage-enter'), join(prefix, 'libexec/stowage/stowage-enter'), 0o711);
  copyFile(from('build/libexec/stowage-exec'), join(prefix, 'libexec/stowage/stowage-exec'), 0o755);
  copyFile(from('build/libexec/stowage-unpack'), join(prefix, 'libexec/stowage/stowage-unpack'), 0o755);
  copyFile(
    from('build/libexec/stowage-squashfuse'),
    join(prefix, 'libexec/stowage/stowage-squashfuse'),
    0o711,
  );
  copyFile(from('build/libexec/stowage-save'), join(prefix, 'libexec/stowage/stowage-save'), 0o755);
  copyFile(from('build/libexec/stowage-report'), join(prefix, 'libexec/stowage/stowage-report'), 0o755);
  copyFile(from('build/libexec/shifter-inside'), join(prefix, 'libexec/stowage/shifter-inside'), 0o755);
  copyFile(from('spank-plugin/shifter/shifter.sh'), join(prefix, 'libexec/stowage/shifter'), 0o755);
  copyFile(from('build/lib/spank_stowage.so'), join(prefix, 'lib/slurm/spank_stowage.so'), 0o755);

  for (const page of readdirSync(from('docs/man'))) {
    copyFile(from(`docs/man/${page}`), join(prefix, 'share/man', `man${page.at(-1)}`, page), 0o644);
  }

  const library = join(prefix, 'lib/stowage');
  rmSync(library, { recursive: true, force: true });
  copyFile(from('package.json'), join(library, 'package.json'), 0o644);
  copyFile(from('build/lib/stowage_addon.node'), join(library, 'stowage_addon.node'), 0o755);
  copyFile(from('build/proto/stowage.js'), join(library, 'build/proto/stowage.js'), 0o644);
  copyTree(from('build/js/wrapper'), join(library, 'build/js/wrapper'), (name) => name.endsWith('.js'));
  for (const module of productionModules()) {
    copyTree(module, join(library, relative(root, module)), (name) => !/\.(map|md|d\.ts)$/.test(name));
  }
  for (const program of ['stowage', 'stowaged']) {
    place(join(prefix, 'bin', program), 0o755, (half) => writeFileSync(half, launcher(program)));
  }
};

const [prefix, ...rest] = process.argv.slice(2);
if (prefix === undefined || rest.length > 0 || !prefix.startsWith('/')) {
  console.error('usage: npm run install:prefix -- PREFIX, an absolute path');
  process.exitCode = 2;
} else {
  try {
    install(prefix);
  } catch (error) {
    console.error(`install: ${error.message}; build first with npm run build`);
    process.exitCode = 1;
  }
}
