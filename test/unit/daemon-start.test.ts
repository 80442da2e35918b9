import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parseConfigFile } from '../../wrapper/config/load.js';
import { Daemon } from '../../wrapper/daemon.js';
import { logTo } from '../../wrapper/telemetry/log.js';
import { isCode } from '../support/is-code.js';

const noLog = logTo(() => undefined);

describe('a daemon that cannot start', () => {
  let directory: string;
  const config = (more: string, socket = 'api.sock') =>
    parseConfigFile(
      `${more}
       [listen]
       socket = "${directory}/${socket}"
       blob_socket = "${directory}/blobs.sock"
       [metrics]
       listen = "${directory}/metrics.sock"
       [store]
       directory = "${directory}/store"`,
      'x',
    );

  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'start-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  it('leaves nothing behind, so that another can', async () => {
    writeFileSync(join(directory, 'file'), '');
    await assert.rejects(
      Daemon.start(config('', 'file/api.sock'), noLog),
      isCode('start-refused', /api\.sock/),
    );
    for (const socket of ['blobs.sock', 'metrics.sock'])
      assert.equal(existsSync(join(directory, socket)), false);
    // The store has one daemon at a time.
    const daemon = await Daemon.start(config(''), noLog);
    await daemon.stop();
  });

  it('for what it says of a registry leaves the store to the next', async () => {
    const wrong = '[registries."r.example"]\nca = "/nonexistent/ca.pem"';
    await assert.rejects(
      Daemon.start(config(wrong), noLog),
      isCode('config-invalid', /ca\.pem cannot be read/),
    );
    const daemon = await Daemon.start(config(''), noLog);
    await daemon.stop();
  });
});
