#!/usr/bin/env node
import { parseArgs } from 'node:util';

import { checkFiles } from './config/check-files.js';
import type { Config } from './config/config.js';
import { loadConfig } from './config/load.js';
import { Daemon } from './daemon.js';
import { reasonOf, StowageError } from './error.js';
import { protocol, release } from './package-root.js';
import { refusePrivilege } from './policy/privilege.js';
import { ServiceManager } from './service/manager.js';
import { reload, servingStatus } from './service/reload.js';
import { Watchdog } from './service/watchdog.js';
import { type Log, standardErrorLog } from './telemetry/log.js';

const usage = `usage: stowaged [--config FILE] [--check-config | --version | --help]

Gets container images for the jobs of this node and says how to run them.

  --config FILE    configuration to use, by default /etc/stowage/stowage.toml
  --check-config   say whether the configuration and the files it names are right, and exit
  --version        say which release this is, and exit
  --help           say how it is called, and exit
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
  const path = options.config;
  const config = loadConfig(path);
  checkFiles(config, path);
  if (options['check-config']) {
    process.stdout.write(`${path} is right\n`);
    return;
  }
  refusePrivilege();
  await serve(path, config, standardErrorLog());
}

async function serve(path: string, config: Config, log: Log): Promise<void> {
  endOnDefect(log);
  const manager = new ServiceManager();
  // Before there is anything to reload, SIGHUP would end the process.
  let onHangup = (): void => undefined;
  process.on('SIGHUP', () => onHangup());
  const stopped = stopSignal();
  const daemon = await Daemon.start(config, log);
  onHangup = () => reload(path, daemon, manager, log);
  const watchdog = new Watchdog(manager, (limitMs) => daemon.check(limitMs), log);
  watchdog.start();
  manager.ready(servingStatus);
  log.write('info', 'started', { release, socket: config.listen.socket, store: config.store.directory });

  const signal = await stopped;
  watchdog.stop();
  manager.stopping();
  log.write('info', 'stopping', { signal });
  await daemon.stop();
  log.write('info', 'stopped');
}

/** After a defect nothing is known of the state of this process; systemd starts another one. */
function endOnDefect(log: Log): void {
  process.on('uncaughtException', (error: unknown, origin) => {
    log.write('error', 'defect', { origin, detail: error instanceof Error ? error.stack : String(error) });
    process.exit(exitFailed);
  });
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
