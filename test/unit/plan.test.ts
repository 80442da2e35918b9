import assert from 'node:assert/strict';

import { parseConfigFile } from '../../wrapper/config/load.js';
import type { Image } from '../../wrapper/image/image.js';
import { cleanInsideRoot, isCleanAbsolute } from '../../wrapper/plan/host-path.js';
import { type HostDirectories, planMounts } from '../../wrapper/plan/mounts.js';
import { planContainer } from '../../wrapper/plan/plan.js';

const always = [
  '/proc',
  '/sys',
  '/dev',
  '/tmp',
  '/etc/resolv.conf',
  '/etc/hosts',
  '/etc/hostname',
  '/etc/localtime',
];
const nothing = { home: '', working: '', further: [] };
const targets = (host: Partial<HostDirectories>): string[] =>
  planMounts({ ...nothing, ...host }, []).map(({ target }) => target);

describe('planMounts', () => {
  it('shows what every container needs, in order', () => assert.deepEqual(targets({}), always));

  it('shows home, working directory and what was asked for, in that order', () => {
    assert.deepEqual(targets({ home: '/home/a', working: '/scratch/a', further: ['/var/spool/pmix'] }), [
      ...always,
      '/home/a',
      '/scratch/a',
      '/var/spool/pmix',
    ]);
  });

  it('does not mount what lies below an earlier mount', () => {
    assert.deepEqual(
      targets({ home: '/home/a', working: '/home/a/run', further: ['/tmp/pmix', '/home/a'] }),
      [...always, '/home/a'],
    );
    assert.deepEqual(targets({ home: '/home/a', working: '/home/ab' }), [...always, '/home/a', '/home/ab']);
  });

  for (const working of [
    '/',
    '/home',
    '/root',
    '/opt',
    '/var',
    '/srv',
    '/mnt',
    '/usr/share/x',
    '/etc',
    '/lib64/x',
    '/run/user/1',
    '/sys/fs',
  ]) {
    it(`does not hide the image behind the working directory ${working}`, () =>
      assert.deepEqual(targets({ working }), always));
  }
  for (const working of ['/opt/data', '/root/run', '/library', '/var/tmp/x']) {
    it(`shows the working directory ${working}`, () =>
      assert.deepEqual(targets({ working }), [...always, working]));
  }

  it('puts the mounts of the site last, as they are configured', () => {
    const site = { source: '/lustre', target: '/data', readOnly: true, optional: true };
    assert.deepEqual(planMounts(nothing, [site]).at(-1), site);
  });
});

describe('planContainer', () => {
  const image = (environment: string[], workingDirectory = ''): Image => ({
    digest: `sha256:${'d'.repeat(64)}`,
    layers: [],
    config: {
      platform: { os: 'linux', architecture: 'amd64' },
      user: 'root',
      workingDirectory,
      entrypoint: [],
      command: [],
      environment,
      diffIds: [],
    },
  });
  const plan = (environment: string[], workingDirectory?: string) =>
    planContainer(
      'docker.io/library/ubuntu:1',
      image(environment, workingDirectory),
      nothing,
      new Uint8Array(),
      parseConfigFile('', 'x'),
    );
  const variable = (environment: string[], name: string) =>
    plan(environment).environment.find((entry) => entry.name === name)?.value;

  it('takes the environment of the image, and says which image it is', () => {
    assert.equal(variable(['A=b=c', 'EMPTY='], 'A'), 'b=c');
    assert.equal(variable(['A=b=c', 'EMPTY='], 'EMPTY'), '');
    assert.equal(variable([], 'STOWAGE_IMAGE'), 'docker.io/library/ubuntu:1');
    assert.equal(variable([], 'STOWAGE_IMAGE_DIGEST'), `sha256:${'d'.repeat(64)}`);
  });

  it('has a PATH whatever the image says', () => {
    assert.equal(variable(['PATH=/opt/bin'], 'PATH'), '/opt/bin');
    assert.match(variable([], 'PATH') ?? '', /\/usr\/bin/);
  });

  it('skips what is not NAME=value, and what tells a rank who it is', () => {
    const names = plan([
      'NOVALUE',
      '=x',
      'SLURM_PROCID=0',
      'PMIX_RANK=0',
      'STOWAGE_IMAGE=lie',
    ]).environment.map(({ name }) => name);
    assert.deepEqual(names, ['PATH', 'STOWAGE_IMAGE', 'STOWAGE_IMAGE_DIGEST']);
    assert.equal(variable(['STOWAGE_IMAGE=lie'], 'STOWAGE_IMAGE'), 'docker.io/library/ubuntu:1');
  });

  it("takes away the host's loader variables unless the image sets its own", () => {
    assert.ok(plan([]).unsetEnvironment.includes('LD_PRELOAD'));
    assert.ok(!plan(['LD_PRELOAD=/x.so']).unsetEnvironment.includes('LD_PRELOAD'));
    assert.equal(variable(['LD_PRELOAD=/x.so'], 'LD_PRELOAD'), '/x.so');
  });

  it('keeps a working directory that climbs inside the root', () => {
    assert.equal(plan([], '../../etc/../app/').workingDirectory, '/app');
    assert.equal(plan([], '').workingDirectory, '/');
  });
});

describe('host paths', () => {
  it('are clean or not', () => {
    for (const path of ['/', '/a', '/a/b.c', '/a/..b']) assert.ok(isCleanAbsolute(path), path);
    for (const path of ['', 'a', '/a/', '//a', '/a/./b', '/a/..', '/a\0b', `/${'a'.repeat(4095)}`]) {
      assert.ok(!isCleanAbsolute(path), path);
    }
  });

  it('stop at the root', () => assert.equal(cleanInsideRoot('/a/./../../b//c'), '/b/c'));
});
