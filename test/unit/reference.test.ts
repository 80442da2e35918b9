import assert from 'node:assert/strict';

import { StowageError } from '../../wrapper/error.js';
import { quote, withoutCredentials } from '../../wrapper/image/quote.js';
import { parseReference } from '../../wrapper/image/reference.js';

const digest = `sha256:${'a'.repeat(64)}`;

describe('parseReference', () => {
  const accepted: [string, string][] = [
    ['ubuntu', 'docker.io/library/ubuntu:latest'],
    ['ubuntu:24.04', 'docker.io/library/ubuntu:24.04'],
    ['team/app', 'docker.io/team/app:latest'],
    ['docker.io/ubuntu', 'docker.io/library/ubuntu:latest'],
    ['index.docker.io/team/app:1', 'docker.io/team/app:1'],
    ['docker://quay.io/team/app:1', 'quay.io/team/app:1'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/a/b__c/d-e.f:V1_x', 'localhost:5000/a/b__c/d-e.f:V1_x'],
    ['[::1]:5000/app', '[::1]:5000/app:latest'],
    ['Registry.Example.org/app', 'registry.example.org/app:latest'],
    [`ubuntu:24.04@${digest}`, `docker.io/library/ubuntu@${digest}`],
    [`ubuntu@sha512:${'0'.repeat(128)}`, `docker.io/library/ubuntu@sha512:${'0'.repeat(128)}`],
  ];
  for (const [text, canonical] of accepted) {
    it(`reads ${text.slice(0, 60)}`, () => assert.equal(parseReference(text).canonical, canonical));
  }

  const spellings: [string, string][] = [
    ['Registry.Example.org:443/team/app', 'registry.example.org/team/app:latest'],
    ['registry.example.org:0443/team/app', 'registry.example.org/team/app:latest'],
    ['registry.example.org:05000#team/app', 'registry.example.org:5000/team/app:latest'],
    ['2130706433:5000/app', '127.0.0.1:5000/app:latest'],
    ['0x7f.1:5000/app', '127.0.0.1:5000/app:latest'],
    ['[0:0:0:0:0:0:0:1]:5000/app', '[::1]:5000/app:latest'],
    ['registry-1.docker.io/team/app', 'docker.io/team/app:latest'],
    ['registry.hub.docker.com/ubuntu', 'docker.io/library/ubuntu:latest'],
    ['docker.io:443/ubuntu', 'docker.io/library/ubuntu:latest'],
  ];
  for (const [text, canonical] of spellings) {
    it(`passes by no policy as ${text}`, () => assert.equal(parseReference(text).canonical, canonical));
  }

  it('lets a digest win over the tag beside it', () => {
    const { tag, digest: chosen } = parseReference(`ubuntu:24.04@${digest}`);
    assert.deepEqual([tag, chosen], [undefined, digest]);
  });

  const refused: [string, RegExp][] = [
    ['', /empty/],
    ['Ubuntu', /lower case/],
    ['256.256.256.256:5000/app', /not a registry's host name/],
    ['localhost:0/app', /not a registry's host name/],
    ['quay.io/Team/app', /lower case/],
    ['a//b', /two "\/"/],
    ['a/', /two "\/" in a row, or one at the end/],
    ['quay.io/../app', /".." cannot be part/],
    ['./image.sqsh', /begins with a letter or digit/],
    ['/images/a.sqsh', /a path has no "docker:" in front/],
    ['oci://x', /"oci:\/\/" is not known/],
    ['app:', /tag after ":" is missing/],
    ['app:.x', /the tag ".x"/],
    [`app:${'t'.repeat(129)}`, /at most 128/],
    ['a._b', /single/],
    ['a---b._c', /single/],
    ['quay.io', /nothing/],
    ['host_a.org/app', /host name/],
    ['localhost:70000/app', /host name/],
    ['localhost:5000/', /repository after the registry is missing/],
    ['ubuntu@sha256:abc', /not a digest/],
    [`ubuntu@sha256:${'A'.repeat(64)}`, /not a digest/],
    [`ubuntu@md5:${'a'.repeat(32)}`, /not a digest/],
    ['a b', /space/],
    ['a\u0000b', /control character/],
    ['a\u202eb', /outside ASCII/],
    [`a/${'b'.repeat(256)}`, /longer than 255/],
    ['a'.repeat(64), /image id/],
  ];
  for (const [text, reason] of refused.filter(([name]) => name !== 'quay.io')) {
    it(`refuses ${quote(text).slice(0, 60)}`, () => {
      assert.throws(
        () => parseReference(text),
        (error: StowageError) => {
          assert.equal(error.code, 'reference-malformed');
          assert.match(error.message, reason);
          return true;
        },
      );
    });
  }

  it('reads a bare host name as a repository, as docker does', () => {
    assert.equal(parseReference('quay.io').canonical, 'docker.io/library/quay.io:latest');
  });

  for (const text of [
    'user:s3cret@quay.io/app',
    'user:s3cret@quay.io:5000',
    'user:s3/cret@quay.io/app',
    `user:s3cret@quay.io/app@${digest}`,
    'docker://user:s3cret@quay.io/app',
    'https://user:s3cret@quay.io/app',
  ]) {
    it(`refuses credentials and does not repeat them: ${text.slice(0, 40)}`, () => {
      assert.throws(
        () => parseReference(text),
        (error: StowageError) => {
          assert.equal(error.code, 'reference-malformed');
          assert.doesNotMatch(error.message, /s3|cret/);
          return true;
        },
      );
      assert.doesNotMatch(withoutCredentials(text), /s3|cret/);
    });
  }

  const names = {
    registry: 'registry.example.org:5000',
    aliases: {
      pytorch: 'nvcr.io/nvidia/pytorch:24.01',
      'team/app': 'quay.io/team/app',
      b: 'quay.io/b',
      c: 'b/c',
    },
  };
  for (const [text, canonical] of [
    ['ubuntu:24.04', 'registry.example.org:5000/ubuntu:24.04'],
    ['team/other', 'registry.example.org:5000/team/other:latest'],
    ['docker.io/ubuntu', 'docker.io/library/ubuntu:latest'],
    ['pytorch', 'nvcr.io/nvidia/pytorch:24.01'],
    ['docker://pytorch:23.12', 'nvcr.io/nvidia/pytorch:23.12'],
    [`pytorch@${digest}`, `nvcr.io/nvidia/pytorch@${digest}`],
    ['team/app:1', 'quay.io/team/app:1'],
    ['quay.io/pytorch', 'quay.io/pytorch:latest'],
    ['constructor', 'registry.example.org:5000/constructor:latest'],
  ] as const) {
    it(`completes ${text.slice(0, 30)} as the site says`, () =>
      assert.equal(parseReference(text, names).canonical, canonical));
  }

  it('follows an alias one step and no further', () =>
    assert.equal(
      parseReference('c', { registry: 'docker.io', aliases: names.aliases }).canonical,
      'docker.io/b/c:latest',
    ));

  it('cuts what is too long to read', () => {
    assert.throws(
      () => parseReference('A'.repeat(64 * 1024)),
      (error: StowageError) => error.message.length < 400,
    );
  });
});
