import assert from 'node:assert/strict';

import type { StowageError } from '../../wrapper/error.js';
import { matches, problemOfPattern, refuseDenied } from '../../wrapper/policy/allowed.js';

const digest = `sha256:${'a'.repeat(64)}`;
const ubuntu = 'docker.io/library/ubuntu:24.04';

describe('matches', () => {
  const meant: [string, string][] = [
    ['docker.io/library/ubuntu', ubuntu],
    ['docker.io/library/ubuntu', `docker.io/library/ubuntu@${digest}`],
    ['docker.io/library/ubuntu:24.04', ubuntu],
    ['docker.io/library/ubuntu:*', ubuntu],
    ['docker.io/library/ubuntu@*', `docker.io/library/ubuntu@${digest}`],
    ['docker.io/*', ubuntu],
    ['*', ubuntu],
    ['*', '/data/app.sif'],
    ['*/ubuntu', ubuntu],
    ['*ubuntu*24*', ubuntu],
    ['localhost:5000/*', 'localhost:5000/team/app:1'],
    ['localhost:5000/team/app', 'localhost:5000/team/app:1'],
    ['/data/images/*', '/data/images/a/b:c.sif'],
    ['/data/app.sif', '/data/app.sif'],
  ];
  for (const [pattern, name] of meant) {
    it(`takes ${pattern} for ${name.slice(0, 45)}`, () => assert.ok(matches(pattern, name)));
  }

  const notMeant: [string, string][] = [
    ['docker.io/library/ubuntu', 'docker.io/library/ubuntu2:1'],
    ['docker.io/library/ubuntu', 'docker.io/library/ubuntu/x:1'],
    ['docker.io/library/ubuntu:24', ubuntu],
    ['docker.io/library/ubuntu:24.04', `docker.io/library/ubuntu@${digest}`],
    ['docker.io/*', 'docker.io.example.org/x:1'],
    ['docker.io/*', 'evil.example.org/docker.io/x:1'],
    ['a*bc*c', 'abc'],
    ['localhost:*', '/data/x'],
    ['/data/app', '/data/app:1'],
    ['/data/*', '/database/x'],
  ];
  for (const [pattern, name] of notMeant) {
    it(`does not take ${pattern} for ${name.slice(0, 45)}`, () => assert.ok(!matches(pattern, name)));
  }

  it('does not take long for a pattern that is made to', () => {
    const began = performance.now();
    assert.ok(!matches('*a'.repeat(16), `${'a'.repeat(4000)}b`));
    assert.ok(performance.now() - began < 1000);
  });
});

describe('refuseDenied', () => {
  const refused = (policy: Partial<Parameters<typeof refuseDenied>[0]>, name: string, reason: RegExp): void =>
    assert.throws(
      () => refuseDenied({ allow: [], deny: [], message: '', ...policy }, name),
      (error: StowageError) => {
        assert.equal(error.code, 'image-denied');
        assert.match(error.message, reason);
        return true;
      },
    );

  it('lets everything be used if nothing is said', () =>
    refuseDenied({ allow: [], deny: [], message: '' }, ubuntu));

  it('refuses what is denied, although it is allowed', () =>
    refused(
      { allow: ['*'], deny: ['docker.io/library/ubuntu'] },
      ubuntu,
      /"docker\.io\/library\/ubuntu" is denied/,
    ));

  it('refuses all that is not allowed if something is', () => {
    refuseDenied({ allow: ['docker.io/library/*'], deny: [], message: '' }, ubuntu);
    refused({ allow: ['docker.io/library/*'] }, 'quay.io/a/b:1', /image quay\.io\/a\/b:1 .* not among those/);
    refused({ allow: ['docker.io/library/*'] }, '/data/app.sif', /not among those/);
  });

  it("adds the site's own message", () =>
    refused({ deny: ['*'], message: 'write to hpc@example.org' }, ubuntu, /; write to hpc@example\.org$/));
});

describe('problemOfPattern', () => {
  for (const pattern of ['*', '*/ubuntu', 'docker.io/*', 'localhost:5000/a:1', '/data/my images/*']) {
    it(`has nothing to say against ${pattern}`, () => assert.equal(problemOfPattern(pattern), undefined));
  }
  for (const [pattern, problem] of [
    ['ubuntu', /matches no image/],
    ['docker.io', /matches no image/],
    ['docker.io/a b', /a space/],
    [`/${'*'.repeat(17)}`, /more than 16/],
    ['Registry.Example.org/*', /written "registry\.example\.org"/],
    ['registry.example.org:443/secret/*', /written "registry\.example\.org"/],
    ['registry-1.docker.io/*', /written "docker\.io"/],
    ['docker.io/ubuntu', /begin with "docker\.io\/library\/"/],
  ] as const) {
    it(`says what is wrong with ${pattern}`, () => assert.match(problemOfPattern(pattern) ?? '', problem));
  }
});
