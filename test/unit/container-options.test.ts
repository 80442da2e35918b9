import assert from 'node:assert/strict';

import type { ErrorCode } from '../../wrapper/error.js';
import { refuseDeniedOptions } from '../../wrapper/policy/options.js';
import { formatEnv, parseEnv } from '../../wrapper/settings/env-spec.js';
import { noOptions, parseOptions } from '../../wrapper/settings/options.js';
import { isCode } from '../support/is-code.js';

const parse = (...given: [string, string][]) =>
  parseOptions(given.map(([name, value]) => ({ name, value, origin: '' })));
const refused = (given: [string, string], reason: RegExp, code: ErrorCode = 'option-invalid') =>
  assert.throws(() => parse(given), isCode(code, reason));

describe('parseOptions', () => {
  it('has a default for everything', () => assert.deepEqual(parse(), noOptions));

  it('lets mounts, variables and devices add up, and of anything else the last count', () => {
    const options = parse(
      ['mount', '/a:/b'],
      ['workdir', '/one'],
      ['env', 'A=1,B'],
      ['device', 'v.example/c=0,v.example/c=1'],
      ['root', 'yes'],
      ['mount', 'tmpfs:/c'],
      ['workdir', '/two'],
      ['env', 'A=2'],
      ['device', 'w.example/c=0'],
      ['root', 'no'],
      ['unshare', 'net,ipc'],
      ['unshare', 'uts,uts'],
    );
    assert.deepEqual(
      options.mounts.map(({ kind, source, target }) => [kind, source, target]),
      [
        ['bind', '/a', '/b'],
        ['tmpfs', '', '/c'],
      ],
    );
    assert.equal(options.workingDirectory, '/two');
    assert.deepEqual(options.environment, [
      { name: 'A', value: '1' },
      { name: 'B', value: undefined },
      { name: 'A', value: '2' },
    ]);
    assert.deepEqual(options.devices, ['v.example/c=0', 'v.example/c=1', 'w.example/c=0']);
    assert.equal(options.root, false);
    assert.deepEqual(options.unshare, ['uts']);
  });

  it('reads flags', () => {
    const { home, writable, root, entrypoint } = parse(
      ['home', 'no'],
      ['writable', 'no'],
      ['root', 'yes'],
      ['entrypoint', 'yes'],
    );
    assert.deepEqual([home, writable, root, entrypoint], [false, false, true, true]);
  });

  it('knows what asked for what, and names it', () => {
    const mount = (value: string, origin: string) => parseOptions([{ name: 'mount', value, origin }]);
    assert.equal(mount('/a', '').mounts[0]?.origin, '--image-mount');
    assert.equal(mount('/a', '~/x.toml: mounts').mounts[0]?.origin, '~/x.toml: mounts');
    assert.throws(
      () => mount('a', '~/x.toml: mounts'),
      isCode('option-invalid', /^~\/x\.toml: mounts: "a": /),
    );
  });

  it('names an option that it does not know', () =>
    refused(['frobnicate', 'x'], /no option "frobnicate".*known are mount, /, 'request-invalid'));

  const wrong: [[string, string], RegExp][] = [
    [['home', 'perhaps'], /^--image-home: "perhaps" is neither "yes" nor "no"$/],
    [['workdir', 'here'], /^--image-workdir: "here" must be an absolute path/],
    [['workdir', ''], /^--image-workdir: "" must be an absolute path/],
    [['workdir', '/a\nb'], /^--image-workdir: "\/a\\u000ab" holds a control character/],
    [['env', ''], /^--image-env: the name of a variable is missing/],
    [['env', 'A=1,,B'], /^--image-env: the name of a variable is missing/],
    [['env', '1A=x'], /^--image-env: "1A" is no name of a variable/],
    [['env', 'A=x\0'], /^--image-env: the value of A holds a NUL/],
    [['env', 'SLURM_PROCID=0'], /^--image-env: SLURM_PROCID is Slurm's/],
    [['env', 'PMIX_RANK'], /^--image-env: PMIX_RANK is Slurm's/],
    [['env', 'PMI2_FD=3'], /^--image-env: PMI2_FD is Slurm's/],
    [['env', 'STOWAGE_IMAGE=lie'], /^--image-env: STOWAGE_IMAGE is Slurm's, or Stowage's/],
    [['device', 'a,,b'], /^--image-device: "a,,b" holds an empty name/],
    [
      ['unshare', 'net,pid'],
      /^--image-unshare: "pid" is no namespace that can be had; there are net, ipc, uts/,
    ],
    [['mount', '/a:b'], /^--image-mount: "\/a:b": "b" must be an absolute path in the container$/],
  ];
  for (const [given, reason] of wrong) {
    it(`refuses ${given[0]} ${JSON.stringify(given[1])}`, () => refused(given, reason));
  }
});

describe('--image-env', () => {
  const refuse = (reason: string): never => assert.fail(reason);

  it('gives back what was written for a value', () => {
    for (const value of ['', 'a=b', 'one,two', 'C:\\x', 'a:b', 'first\nsecond', '\\,']) {
      assert.deepEqual(parseEnv(formatEnv({ name: 'A', value }), refuse), [{ name: 'A', value }]);
    }
  });
});

describe("the site's policy for options", () => {
  const policy = { allow: [], deny: [], denyOptions: ['root', 'mount'], message: 'ask hpc@example.org' };
  const check = (name: string, value: string) => refuseDeniedOptions(policy, [{ name, value, origin: '' }]);

  it('refuses what it denies, in its own words', () => {
    const denied = isCode(
      'option-denied',
      /^--image-root may not be used at this site; ask hpc@example\.org$/,
    );
    assert.throws(() => check('root', 'yes'), denied);
    const fromFile = { name: 'root', value: 'yes', origin: '~/x.toml: root' };
    assert.throws(
      () => refuseDeniedOptions(policy, [fromFile]),
      isCode('option-denied', /^--image-root, as ~\/x\.toml: root has it, may not be used/),
    );
    assert.throws(() => check('mount', '/a:/b'), isCode('option-denied', /^--image-mount may not/));
  });

  it('lets others be used, and nobody be kept from doing without', () => {
    check('workdir', '/');
    check('root', 'no');
  });

  it('takes "no" for what it is: a name, where no flag is meant', () => {
    for (const name of ['env', 'name']) {
      assert.throws(
        () => refuseDeniedOptions({ ...policy, denyOptions: [name] }, [{ name, value: 'no', origin: '' }]),
        isCode('option-denied', new RegExp(`^--image-${name} may not`)),
      );
    }
  });
});
