// Generates the code for both ends of the contract: build/proto/stowage.{js,d.ts} for the daemon,
// build/proto/stowage/v1/*.pb-c.{c,h} for stowage-enter. Nothing is done when all of it is newer than
// the .proto files.
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';

const out = 'build/proto';
// What stowage-enter speaks.
const sources = ['stowage/v1/image.proto'];
const daemonSources = [...sources, 'stowage/v1/node.proto', 'grpc/health/v1/health.proto'];
const generated = [
  `${out}/stowage.js`,
  `${out}/stowage.d.ts`,
  ...sources.map((source) => `${out}/${source.replace(/\.proto$/, '.pb-c.c')}`),
];

const modified = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const newestSource = Math.max(...daemonSources.map((source) => modified(`proto/${source}`)));
if (generated.some((file) => modified(file) < newestSource)) {
  const run = (command, args) => execFileSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  mkdirSync(out, { recursive: true });
  const inputs = daemonSources.map((source) => `proto/${source}`);
  const style = ['-w', 'esm', '--no-create', '--no-verify', '--no-convert', '--no-delimited', '--no-service'];
  run('node_modules/.bin/pbjs', [
    '-t',
    'static-module',
    ...style,
    '-p',
    'proto',
    '-o',
    `${out}/stowage.js`,
    ...inputs,
  ]);
  run('node_modules/.bin/pbts', ['-o', `${out}/stowage.d.ts`, `${out}/stowage.js`]);
  run('protoc-c', ['-I', 'proto', `--c_out=${out}`, ...sources]);
}
