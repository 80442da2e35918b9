import assert from 'node:assert/strict';

import { status } from '@grpc/grpc-js';

import { LocalFormat } from '../../wrapper/rpc/definitions.js';
import { client, failure, type Request, TestDaemon } from '../support/test-daemon.js';

const digest = `sha256:${'a'.repeat(64)}`;
const local = { format: LocalFormat.FORMAT_ROOT_FILE_SYSTEM, digest };
const option = (name: string, value: string) => ({ name, value });

describe('stowaged, with options', () => {
  let daemon: TestDaemon;

  before(async () => {
    daemon = await TestDaemon.start();
  });
  after(() => daemon.end());

  const request = (...options: Request['options'] & object): Request => ({
    client,
    reference: '/data/app.sqsh',
    local,
    homeDirectory: '/home/a',
    options,
  });
  const plan = (...options: Request['options'] & object) => daemon.plan(request(...options));

  it('plans what was asked for', async () => {
    const { mounts, readOnlyRoot, workingDirectoryAskedFor, workingDirectory, environment } = await plan(
      option('mount', '~/data:/data:ro'),
      option('writable', 'no'),
      option('workdir', '/data'),
      option('env', 'A=1,PATH'),
    );
    const { source, target, readOnly, origin } = mounts?.at(-1) ?? {};
    assert.deepEqual([source, target, readOnly, origin], ['/home/a/data', '/data', true, '--image-mount']);
    assert.deepEqual([readOnlyRoot, workingDirectoryAskedFor, workingDirectory], [true, true, '/data']);
    const found = environment?.filter(({ name }) => name === 'A' || name === 'PATH');
    assert.deepEqual(found?.map(({ name, unlessSet }) => [name, unlessSet]).sort(), [
      ['A', false],
      ['PATH', true],
    ]);
  });

  it('refuses them before it looks at the image', async () => {
    const before = daemon.log.length;
    const invalid = failure(
      status.INVALID_ARGUMENT,
      'option-invalid',
      /^--image-mount: "\/proc" cannot be a target: \/proc is the kernel's/,
    );
    const wanted = {
      options: [option('mount', '/x:/proc')],
      reference: `${daemon.registry.host}/team/app:1`,
    };
    await assert.rejects(daemon.plan({ ...wanted, client }), invalid);
    assert.deepEqual(daemon.registry.requests, []);
    assert.equal(daemon.log[before]?.['code'], 'option-invalid');
  });

  it('refuses one that it does not know, and too many', async () => {
    const unknown = failure(status.INVALID_ARGUMENT, 'request-invalid', /there is no option "frobnicate"/);
    await assert.rejects(plan(option('frobnicate', 'x')), unknown);
    const mounts = Array.from({ length: 257 }, () => option('mount', '/a'));
    await assert.rejects(
      plan(...mounts),
      failure(status.INVALID_ARGUMENT, 'request-invalid', /more than 256/),
    );
    const long = option('env', `A=${'x'.repeat(300_000)}`);
    await assert.rejects(
      plan(long),
      failure(status.INVALID_ARGUMENT, 'request-invalid', /more than 262144 bytes/),
    );
  });

  it("refuses what the site denies, with the site's words", async () => {
    await daemon.stopDaemon();
    await daemon.startDaemon('[policy]\ndeny_options = ["root"]\nmessage = "ask hpc@example.org"');
    await assert.rejects(
      plan(option('root', 'yes')),
      failure(
        status.PERMISSION_DENIED,
        'option-denied',
        /^--image-root may not be used at this site; ask hpc@example\.org$/,
      ),
    );
    assert.equal((await plan(option('root', 'no'))).rootUser, false);
  });

  for (const [name, value] of [
    ['mount', '/data'],
    ['workdir', '/data'],
    ['env', 'A=1'],
    ['home', 'yes'],
    ['writable', 'yes'],
    ['root', 'yes'],
    ['entrypoint', 'yes'],
    ['device', 'none'],
    ['name', 'x'],
    ['save', '/data/x.tar'],
    ['unshare', 'net'],
  ] as const) {
    it(`takes --image-${name}, unless the site denies it`, async () => {
      await plan(option(name, value));
      await daemon.stopDaemon();
      await daemon.startDaemon(`[policy]\ndeny_options = ["${name}"]`);
      await assert.rejects(
        plan(option(name, value)),
        failure(status.PERMISSION_DENIED, 'option-denied', new RegExp(`^--image-${name} may not be used`)),
      );
    });
  }
});
