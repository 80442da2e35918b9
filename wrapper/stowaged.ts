#!/usr/bin/env node
import { parseArgs } from 'node:util';

import { loadConfig } from './config/load.js';
import { Daemon } from './daemon.js';
import { reasonOf, StowageError } from './error.js';
import { protocol, release } from './package-root.js';
import { refusePrivilege } from './policy/privilege.js';
import { standardErrorLog } from './telemetry/log.js';

const usage = `usage: stowaged [--config FILE] [--check-config | --version | --help]

Gets container images for the jobs of this node and says how to run them.

  --config FILE    configuration to use, by default /etc/stowage/stowage.toml
  --check-config   say whether the configuration is right, and exit
  --version        say which release this is, and exit
`;

const exitFailed = 1;
const exitUsage = 2;

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(usage);
    return;
  }
  if (options.version) {
    process.stdout.write(`stowaged ${release} (protocol ${protocol})\n`);
    return;
  }
  const config = loadConfig(options.config);
  if (options['check-config']) {
    process.stdout.write(`${options.config} is right\n`);
    return;
  }
  refusePrivilege();
  const log = standardErrorLog();
  const stopped = stopSignal();
  const daemon = await Daemon.start(config, log);
  log.write('info', 'started', { release, socket: config.listen.socket, store: config.store.directory });
  log.write('info', 'stopping', { signal: await stopped });
  await daemon.stop();
  log.write('info', 'stopped');
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        config: { type: 'string', default: '/etc/stowage/stowage.toml' },
        'check-config': { type: 'boolean', default: false },
        version: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    process.stderr.write(`stowaged: ${reasonOf(error)}\n\n${usage}`);
    process.exit(exitUsage);
  }
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
}

try {
  await main();
} catch (error) {
  const text = error instanceof StowageError || !(error instanceof Error) ? reasonOf(error) : error.stack;
  process.stderr.write(`stowaged: ${text}\n`);
  process.exitCode = exitFailed;
}
