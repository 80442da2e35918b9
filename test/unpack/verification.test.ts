import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { archive, file } from '../support/tar-writer.js';
import { digestOf, eachInSandbox } from './sandbox.js';

describe('stowage-unpack: verification', () => {
  const sandbox = eachInSandbox();
  const tar = archive(file('a', 'x'.repeat(100_000)));
  const blob = gzipSync(tar);
  const digest = digestOf(blob);
  const other = digestOf(Buffer.from('other'));

  it('refuses a wrong diff_id, naming the layer and both digests', async () => {
    const said = new RegExp(`layer ${digest} unpacks to ${digestOf(tar)} .* says ${other}`);
    await sandbox().refuse([{ blob, diffId: other }], said);
  });

  it('refuses the second layer by name when that is the wrong one', async () => {
    await sandbox().refuse(
      [
        { blob, tar },
        { blob: tar, diffId: other },
      ],
      new RegExp(`layer ${digestOf(tar)}`),
    );
  });

  it('refuses a wrong digest', async () => {
    await sandbox().refuse(
      [{ blob, tar, digest: other }],
      new RegExp(`layer ${other} does not match its digest`),
    );
  });

  it('blames the digest, not the tar, when a corrupt layer cannot be read', async () => {
    const corrupt = Buffer.from(tar);
    corrupt.fill(0xff, 0, 400);
    const said = new RegExp(`layer ${digestOf(tar)} does not match its digest`);
    await sandbox().refuse([{ blob: corrupt, digest: digestOf(tar), diffId: digestOf(tar) }], said);
  });

  it('blames the digest, not gzip, when a corrupt layer cannot be inflated', async () => {
    const corrupt = Buffer.from(blob);
    corrupt.fill(0xff, 20, 60);
    const said = new RegExp(`layer ${digest} does not match its digest`);
    await sandbox().refuse([{ blob: corrupt, digest, diffId: digestOf(tar) }], said);
  });

  it('refuses a blob that is shorter or longer than said', async () => {
    await sandbox().refuse([{ blob, tar, size: blob.length + 1 }], /ends after/);
    await sandbox().refuse([{ blob, tar, size: blob.length - 1 }], /longer than/);
  });

  it('checks sha512', async () => {
    await sandbox().succeed([{ blob, digest: digestOf(blob, 'sha512'), diffId: digestOf(tar, 'sha512') }]);
    const wrong = digestOf(tar, 'sha512');
    await sandbox().refuse([{ blob, tar, digest: wrong }], /sha512:[0-9a-f]{128} does not match/);
  });

  it('reports progress of each layer to its end', async () => {
    const outcome = await sandbox().unpack([{ blob, tar }, tar]);
    const lines = outcome.progress.trimEnd().split('\n');
    assert.ok(
      lines.every((line) => /^\d+ \d+ \d+$/.test(line)),
      outcome.progress,
    );
    assert.ok(lines.includes(`0 ${blob.length} ${blob.length}`));
    assert.equal(lines.at(-1), `1 ${tar.length} ${tar.length}`);
  });

  it('unpacks the same layer twice', async () => {
    await sandbox().succeed([tar, tar, { blob, tar }]);
    assert.deepEqual(sandbox().names(), ['a']);
  });
});
