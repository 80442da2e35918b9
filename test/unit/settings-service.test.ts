import assert from 'node:assert/strict';

import { status } from '@grpc/grpc-js';

import type { stowage } from '#proto';

import { imageService, type ReadSettingsResponseMessage } from '../../wrapper/rpc/definitions.js';
import { client, failure, TestDaemon } from '../support/test-daemon.js';

type Message = stowage.v1.ReadSettingsRequest.$Properties;

const text = (name: string, content: string, more: stowage.v1.SettingsFile.$Properties = {}) => ({
  name,
  path: `/etc/stowage/environments/${name}.toml`,
  directory: '/etc/stowage/environments',
  content: Buffer.from(content),
  ...more,
});

describe('stowaged, for settings', () => {
  let daemon: TestDaemon;

  before(async () => {
    daemon = await TestDaemon.start();
  });
  after(() => daemon.end());

  const read = (request: Message): Promise<ReadSettingsResponseMessage> =>
    new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = imageService.readSettings;
      daemon.grpc.makeUnaryRequest(
        path,
        requestSerialize as (request: Message) => Buffer,
        responseDeserialize as (bytes: Buffer) => ReadSettingsResponseMessage,
        { client, reference: '@x', ...request },
        (error, answer) => (error ? reject(error) : resolve(answer ?? {})),
      );
    });
  const refused = (request: Message, code: status, stowageCode: string, reason: RegExp) =>
    assert.rejects(read(request), failure(code, stowageCode, reason));

  it('says what they come to', async () => {
    const files = [text('x', 'image = "${NAME}:1"', { variables: [{ name: 'NAME', value: 'app' }] })];
    const { reference, options, wanted } = await read({ files, options: [{ name: 'root', value: 'yes' }] });
    assert.equal(reference, 'app:1');
    assert.deepEqual(
      options?.map(({ name, value }) => [name, value]),
      [['root', 'yes']],
    );
    assert.deepEqual(wanted, []);
  });

  it('asks for more', async () =>
    assert.deepEqual((await read({ files: [text('x', 'base = "y"')] })).wanted, ['y']));

  it('refuses what cannot be used, and writes it to its log', async () => {
    daemon.log.length = 0;
    const files = [text('x', 'image = ')];
    await refused({ files }, status.INVALID_ARGUMENT, 'settings-invalid', /x\.toml: line 1: /);
    const { level, code, uid } = daemon.log[0] ?? {};
    assert.deepEqual([level, code, uid], ['warning', 'settings-invalid', process.getuid?.()]);
  });

  it('refuses requests of which its time could be wasted', async () => {
    const invalid = (request: Message, reason: RegExp) =>
      refused(request, status.INVALID_ARGUMENT, 'request-invalid', reason);
    const half = 'x'.repeat(200 * 1024);
    await invalid({ files: [text('x', half + half)] }, /a file has more than 262144 bytes/);
    await invalid({ files: [text('x', '', { directory: 'relative' })] }, /files\.directory is not absolute/);
    const variables = Array<object>(1025).fill({ name: 'A', value: 'b' });
    await invalid({ files: [text('x', '', { variables })] }, /more than 1024 variables/);
    await invalid({ options: Array<object>(257).fill({ name: 'mount' }) }, /options holds more than 256/);
    await invalid({ reference: 'x'.repeat(5000) }, /reference is longer/);
    const tooMuch = (files: Message['files'], reason: RegExp) =>
      refused({ files: files ?? [] }, status.INVALID_ARGUMENT, 'settings-invalid', reason);
    await tooMuch(Array<Message>(33).fill(text('x', '')), /more than 32 others/);
    await tooMuch(
      Array(6).fill(text('x', half)) as Message['files'],
      /1228800 bytes, and 1048576 are the most/,
    );
  });

  it('refuses another protocol', () =>
    refused({ client: { protocol: 1 } }, status.FAILED_PRECONDITION, 'protocol-mismatch', /do not fit/));
});
