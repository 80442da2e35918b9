import assert from 'node:assert/strict';

import type { StowageError } from '../../wrapper/error.js';
import { quote } from '../../wrapper/image/quote.js';
import { parseSource } from '../../wrapper/image/source.js';
import { referenceCases } from '../support/references.js';

const refuses = (text: string, reason: RegExp): void =>
  assert.throws(
    () => parseSource(text),
    (error: StowageError) => {
      assert.equal(error.code, 'reference-malformed');
      assert.match(error.message, reason);
      assert.doesNotMatch(error.message, /s3cret/);
      return true;
    },
  );

describe('parseSource', () => {
  for (const { line, text, verdict, outcome, selector } of referenceCases()) {
    const claim = verdict === 'refused' ? `refuses ${outcome}` : `reads a ${verdict} image`;
    it(`${claim}: ${quote(text).slice(0, 60)} (references.tsv:${line})`, () => {
      if (verdict === 'refused') return refuses(text, /./);
      const source = parseSource(text);
      assert.equal(source.kind, verdict);
      if (source.kind === 'registry') assert.equal(source.reference.canonical, outcome);
      else assert.deepEqual([source.path, source.selector], [outcome, selector]);
    });
  }

  it('keeps what follows the scheme as a whole, for it may be the name of a file', () => {
    const source = parseSource('docker-archive:/a:b/c.tar');
    assert.ok(source.kind === 'local' && source.scheme === 'docker-archive');
    assert.equal(source.location, '/a:b/c.tar');
  });

  for (const [text, reason] of [
    ['app.sif', /write \.\/app\.sif for a file of that name, or docker:\/\/app\.sif/],
    ['.app', /write \.\/\.app/],
    ['/', /a directory above others/],
    ['~other/x', /only "~\/" stands for a home directory/],
    ['oci://x', /"oci:" without "\/\/"/],
    ['oci::x', /the path after "oci:" is missing/],
    ['oci:x:', /follow the last ":" is missing/],
    ['/a\u009bb', /"\/a\\u009bb" is not valid: it contains a control character/],
    ['/a\uFFFD', /not UTF-8/],
    ['docker:/x', /a path has no "docker:" in front/],
    [`/${'a'.repeat(4096)}`, /^the image name is longer than 4096 bytes$/],
    ['user:s3cret@nvcr.io#nvidia/x', /credentials/],
  ] as const) {
    it(`says what is wrong with ${quote(text).slice(0, 40)}`, () => refuses(text, reason));
  }
});
