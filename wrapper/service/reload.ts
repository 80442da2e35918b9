import { checkFiles } from '../config/check-files.js';
import { loadConfig } from '../config/load.js';
import type { Daemon } from '../daemon.js';
import { reasonOf } from '../error.js';
import type { Log } from '../telemetry/log.js';
import type { ServiceManager } from './manager.js';

/** What `systemctl status` shows of a daemon that works. */
export const servingStatus = 'Serving';

/** Reads the configuration again. A wrong one is refused with a sentence, and the old one stays. */
export function reload(path: string, daemon: Daemon, manager: ServiceManager, log: Log): void {
  manager.reloading();
  try {
    const config = loadConfig(path);
    checkFiles(config, path);
    const waiting = daemon.reload(config);
    log.write('info', 'reloaded', { config: path });
    for (const key of waiting) {
      log.write('warning', 'needs a restart', {
        key,
        message: `${key} of ${path} has changed; the old one is used until stowaged is restarted`,
      });
    }
    manager.ready(servingStatus);
  } catch (error) {
    const message = reasonOf(error);
    log.write('error', 'not reloaded', { message: `${message}; the configuration from before stays in use` });
    manager.ready(`${servingStatus}, with the configuration from before: ${message}`);
  }
}
