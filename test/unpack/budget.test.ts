import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { archive, directory, file, gnuLongName, header, pax, symlink } from '../support/tar-writer.js';
import { eachInSandbox, isSanitized, peakMemoryKib } from './sandbox.js';

describe('stowage-unpack: budgets', () => {
  const sandbox = eachInSandbox();

  it('refuses a bomb of bytes before writing it', async () => {
    const tar = archive(file('small', 'x'), file('bomb', Buffer.alloc(8 << 20)));
    await sandbox().refuse([{ blob: gzipSync(tar), tar }], /'bomb'.*exceed the 1000000 bytes/, {
      maxBytes: 1e6,
    });
  });

  it('refuses a file that claims more than the budget without looking at its body', async () => {
    const claim = header({ name: 'bomb', size: 0o77777777777 });
    await sandbox().refuse([claim], /'bomb'.*exceed/, { maxBytes: 1e9 });
  });

  it('fills the budget of bytes exactly', async () => {
    const layer = archive(file('a', Buffer.alloc(600)), file('b', Buffer.alloc(400)));
    await sandbox().succeed([layer], { maxBytes: 1000 });
    await sandbox().refuse([layer], /'b'.*exceed the 999 bytes/, { maxBytes: 999 });
  });

  it('counts files, directories, links and missing parents', async () => {
    const layer = archive(directory('d'), file('d/a', ''), symlink('s', 'd'), file('new/parent', ''));
    await sandbox().succeed([layer], { maxInodes: 5 });
    await sandbox().refuse([layer], /'new\/parent'.*exceeds the 4 files/, { maxInodes: 4 });
  });

  it('gives back what upper layers remove or replace', async () => {
    const layers = [
      archive(file('a', Buffer.alloc(900)), directory('d'), file('d/x', ''), file('d/y', '')),
      archive(file('a', Buffer.alloc(900)), file('.wh.d'), file('b', Buffer.alloc(100))),
    ];
    await sandbox().succeed(layers, { maxBytes: 1000, maxInodes: 4 });
    assert.deepEqual(sandbox().names(), ['a', 'b']);
  });

  it('takes extended headers of 1 MiB and refuses longer ones of every kind', async () => {
    const comment = (size: number): Buffer => pax(['comment', Buffer.alloc(size, 'c')]);
    await sandbox().succeed([archive(comment(1_000_000), file('a', ''))]);
    await sandbox().refuse([archive(comment(1_100_000), file('a', ''))], /longer than 1 MiB/);
    await sandbox().refuse([archive(gnuLongName('n'.repeat(1_100_000)), file('a', ''))], /longer than 1 MiB/);
    const endless = header({ name: 'x', type: 'x', size: 0o77777777777 });
    await sandbox().refuse([Buffer.concat([endless, Buffer.alloc(4096)])], /longer than 1 MiB/);
    const global = header({ name: 'g', type: 'g', size: 0o77777777777 });
    await sandbox().refuse([Buffer.concat([global, Buffer.alloc(4096)])], /longer than 1 MiB/);
  });

  it('refuses a bomb of padding after the end of the archive', async () => {
    const tar = archive(file('a', ''), Buffer.alloc(80 << 20));
    await sandbox().refuse([{ blob: gzipSync(tar), tar }], /far more data/, {
      maxBytes: 1000,
      maxInodes: 10,
    });
  });

  it('refuses a bomb of entries that replace each other', async () => {
    const tar = Buffer.concat(Array<Buffer>(140_000).fill(header({ name: 'a' })));
    await sandbox().refuse([{ blob: gzipSync(tar), tar }], /far more data/, {
      maxBytes: 1000,
      maxInodes: 10,
    });
  });

  it('keeps within 64 MiB of memory whatever comes', async () => {
    const name = gnuLongName(`${'n'.repeat(200)}/`.repeat(20) + 'x');
    const tar = Buffer.concat(
      Array.from({ length: 20_000 }, (_, i) => [name, header({ name: 'x', mode: i % 512 })]).flat(),
    );
    const peakKib = await peakMemoryKib(sandbox().start([{ blob: gzipSync(tar), tar }]));
    if (!isSanitized) assert.ok(peakKib < 64 * 1024, `${peakKib} KiB`);
    assert.equal(fs.existsSync(path.join(sandbox().tree, 'n'.repeat(200))), true);
  });

  it('keeps within 64 MiB of memory for a file of zeros a thousand times the size of its layer', async () => {
    const [part, parts] = [Buffer.alloc(64 << 20), 8];
    const start = header({ name: 'zeros', size: part.length * parts });
    const end = Buffer.alloc(1024);
    const blob = Buffer.concat([
      gzipSync(start),
      ...Array<Buffer>(parts).fill(gzipSync(part)),
      gzipSync(end),
    ]);
    const stream = createHash('sha256').update(start);
    for (let i = 0; i < parts; i++) stream.update(part);
    const diffId = `sha256:${stream.update(end).digest('hex')}`;
    const peakKib = await peakMemoryKib(sandbox().start([{ blob, diffId }]));
    if (!isSanitized) assert.ok(peakKib < 64 * 1024, `${peakKib} KiB`);
    assert.equal(fs.statSync(path.join(sandbox().tree, 'zeros')).size, part.length * parts);
  });

  it('refuses directories deeper than the limit, and takes those at it', async () => {
    const refused = /'a\/b\/c\/d.*more than 3 directories deep/;
    await sandbox().succeed([archive(file('a/b/c/d', ''))], { maxDepth: 3 });
    await sandbox().refuse([archive(file('a/b/c/d/e', ''))], refused, { maxDepth: 3 });
    await sandbox().refuse([archive(directory('a/b/c/d'))], refused, { maxDepth: 3 });
  });
});
