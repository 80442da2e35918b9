import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';

import { checkFiles } from '../../wrapper/config/check-files.js';
import { parseConfigFile } from '../../wrapper/config/load.js';
import { fillInSingleUser } from '../../wrapper/config/single-user.js';
import { reloaded } from '../../wrapper/config/restart-keys.js';

describe('a configuration that is read again', () => {
  const current = parseConfigFile('', 'x');

  it('is used but for what needs a restart, which is named', () => {
    const next = parseConfigFile(
      `mode = "single-user"
       [listen]
       blob_socket = "/run/x.sock"
       [metrics]
       listen = "127.0.0.1:9000"
       [store]
       directory = "/x"
       shared = "/shared"
       max_bytes = 7
       [budget]
       max_bytes = 5`,
      'x',
    );
    const { config, waiting } = reloaded(current, next);
    const expected = ['mode', 'listen.blob_socket', 'metrics.listen', 'store.directory', 'store.shared'];
    assert.deepEqual(waiting, expected);
    assert.equal(config.budget.maxBytes, 5);
    assert.deepEqual(config.store, { ...current.store, maxBytes: 7 });
    for (const key of ['mode', 'listen', 'metrics'] as const) assert.deepEqual(config[key], current[key]);
  });

  it('needs no restart when nothing of that has changed', () => {
    assert.deepEqual(reloaded(current, parseConfigFile('', 'x')).waiting, []);
  });
});

describe('a configuration of one user', () => {
  const filled = (file: unknown, environment: NodeJS.ProcessEnv): unknown => {
    fillInSingleUser(file, environment);
    return file;
  };
  const environment = { XDG_RUNTIME_DIR: '/run/user/7', XDG_DATA_HOME: '/data' };

  it('has sockets and store where that user may write, unless it names others', () => {
    const mode = 'single-user';
    assert.deepEqual(filled({ mode, listen: { socket: '/x' } }, environment), {
      mode,
      listen: { socket: '/x', blob_socket: '/run/user/7/stowaged/blobs.sock' },
      store: { directory: '/data/stowage' },
    });
    assert.deepEqual(filled({ mode, listen: 5 }, environment), {
      mode,
      listen: 5,
      store: { directory: '/data/stowage' },
    });
    assert.deepEqual(filled({ mode }, {}), { mode });
  });

  it('changes nothing for a service', () => {
    assert.deepEqual(filled({ mode: 'service' }, environment), { mode: 'service' });
    assert.deepEqual(filled({}, environment), {});
  });
});

describe('the files that a configuration names', () => {
  const directory = mkdtempSync(join(tmpdir(), 'files-'));
  after(() => rmSync(directory, { recursive: true }));

  const check = (ca: string): void =>
    checkFiles(
      parseConfigFile(`[registries."r.example:5000"]\nca = "${ca}"`, 'stowage.toml'),
      'stowage.toml',
    );
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };

  it('are right', () => {
    const pem = file('ca.pem', rootCertificates.slice(0, 2).join('\n'));
    check(pem);
    checkFiles(parseConfigFile('', 'x'), 'x');
  });

  for (const [what, ca, reason] of [
    ['missing', '/nonexistent/ca.pem', /cannot be read \(ENOENT/],
    ['no certificates', () => file('empty.pem', 'hello'), /holds no certificate in PEM/],
    [
      'damaged',
      () => file('bad.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'),
      /holds a certificate that cannot be read/,
    ],
  ] as const) {
    it(`are named when they are ${what}`, () => {
      assert.throws(
        () => check(typeof ca === 'string' ? ca : ca()),
        (error: Error) => {
          assert.match(
            error.message,
            /^configuration stowage\.toml: ca of \[registries\."r\.example:5000"\]: \//,
          );
          assert.match(error.message, reason);
          return true;
        },
      );
    });
  }
});
