import assert from 'node:assert/strict';

import { stowage } from '#proto';

import { parseConfigFile } from '../../wrapper/config/load.js';
import type { Image } from '../../wrapper/image/image.js';
import { cleanInsideRoot, isCleanAbsolute } from '../../wrapper/plan/host-path.js';
import { type HostDirectories, planMounts } from '../../wrapper/plan/mounts.js';
import { planContainer } from '../../wrapper/plan/plan.js';
import { readWishes } from '../../wrapper/plan/wishes.js';
import { isCode } from '../support/is-code.js';

const { Namespace } = stowage.v1;
const { Kind, Propagation } = stowage.v1.Mount;

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
  planMounts({ ...nothing, ...host }, [], true).map(({ target }) => target);

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
    assert.deepEqual(planMounts(nothing, [site], true).at(-1), {
      ...site,
      origin: '[[mounts]] of stowage.toml',
    });
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
      readWishes(nothing, []),
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

describe('what the user asks for', () => {
  const host: HostDirectories = { home: '/home/a', working: '/home/a/job', further: [] };
  const image: Image = {
    digest: '',
    layers: [],
    config: {
      platform: { os: 'linux', architecture: 'amd64' },
      user: '',
      workingDirectory: '/app',
      entrypoint: [],
      command: [],
      environment: ['PATH=/opt/bin', 'A=of the image'],
      diffIds: [],
    },
  };
  const plan = (given: Record<string, string>, config = '', where = host) =>
    planContainer(
      'app',
      image,
      readWishes(
        where,
        Object.entries(given).map(([name, value]) => ({ name, value, origin: '' })),
      ),
      new Uint8Array(),
      parseConfigFile(config, 'x'),
    );
  const variable = (given: Record<string, string>, name: string, config = '') =>
    plan(given, config).environment.find((entry) => entry.name === name);
  const shown = (given: Record<string, string>, where = host, config = '') =>
    plan(given, config, where)
      .mounts.map(({ target }) => target)
      .filter((target) => !always.includes(target));

  it('is mounted last, and says so', () => {
    const site = '[[mounts]]\nsource = "/lustre"';
    const mounts = plan(
      { mount: '/data:/d/../data:ro+bind+rslave,tmpfs:/t:size=1K+mode=0700,umount:/lustre' },
      site,
    ).mounts;
    assert.deepEqual(
      mounts.slice(-4).map(({ target, origin }) => [target, origin]),
      [
        ['/lustre', '[[mounts]] of stowage.toml'],
        ['/data', '--image-mount'],
        ['/t', '--image-mount'],
        ['/lustre', '--image-mount'],
      ],
    );
    const [bind, tmpfs, unmount] = mounts.slice(-3);
    assert.equal(bind?.source, '/data');
    assert.deepEqual([bind.readOnly, bind.notRecursive, bind.propagationRecursive], [true, true, true]);
    assert.equal(bind.propagation, Propagation.PROPAGATION_SLAVE);
    assert.deepEqual([tmpfs?.kind, tmpfs?.sizeBytes, tmpfs?.mode], [Kind.KIND_TMPFS, 1024, 0o700]);
    assert.deepEqual([unmount?.kind, unmount?.source], [Kind.KIND_UNMOUNT, '']);
  });

  const sources: [string, string, string][] = [
    ['./in', '/home/a/job/in', '/home/a/job/in'],
    ['.:/here', '/home/a/job', '/here'],
    ['..//x:/x', '/home/a/job/..//x', '/x'],
    ['../x', '/home/a/job/../x', '/home/a/x'],
    ['~/x:/x', '/home/a/x', '/x'],
    ['~:/h', '/home/a', '/h'],
  ];
  for (const [text, source, target] of sources) {
    it(`mounts ${text} from ${source}`, () => {
      const mount = plan({ mount: text }).mounts.at(-1);
      assert.deepEqual([mount?.source, mount?.target], [source, target]);
    });
  }

  const hostile = [
    '/x:/',
    '/x:/..',
    'tmpfs:/proc',
    '/x:/proc/self',
    '/x:/a/../sys/fs',
    'umount:/sys',
    '/proc',
  ];
  for (const mount of hostile) {
    it(`cannot be mounted with ${mount}`, () =>
      assert.throws(
        () => plan({ mount }),
        isCode('option-invalid', /^--image-mount: "\/.*" cannot be a target/),
      ));
  }

  it('cannot begin where nothing is known to be', () => {
    const nowhere = { home: '', working: '', further: [] };
    assert.throws(
      () => plan({ mount: '~/x' }, '', nowhere),
      isCode('option-invalid', /home directory is not known/),
    );
    assert.throws(
      () => plan({ mount: './x' }, '', nowhere),
      isCode('option-invalid', /working directory is not/),
    );
  });

  it('may be a container without the home directory', () => {
    assert.deepEqual(shown({}), ['/home/a']);
    assert.deepEqual(shown({ home: 'no' }), ['/home/a/job']);
    assert.deepEqual(shown({ home: 'no' }, { ...host, working: '/home/a' }), []);
    assert.deepEqual(shown({ home: 'no' }, { ...host, home: '/data/u/a', working: '/data/u' }), []);
    assert.deepEqual(shown({ home: 'no' }, { ...host, home: '' }), ['/home/a/job']);
    assert.equal(variable({}, 'HOME'), undefined);
    assert.equal(variable({ home: 'no' }, 'HOME')?.value, '/');
    assert.equal(variable({ home: 'no', root: 'yes' }, 'HOME')?.value, '/root');
    assert.equal(variable({ home: 'no', env: 'HOME=/x' }, 'HOME')?.value, '/x');
  });

  it('may be a container with the home directory, whatever the site has for others', () => {
    const without = '[container]\nhome = false';
    assert.deepEqual(shown({}, host, without), ['/home/a/job']);
    assert.equal(variable({}, 'HOME', without)?.value, '/');
    assert.deepEqual(shown({ home: 'yes' }, host, without), ['/home/a']);
    assert.equal(variable({ home: 'yes' }, 'HOME', without), undefined);
  });

  it('may be another working directory', () => {
    assert.equal(plan({}).workingDirectory, '/app');
    assert.equal(plan({}).workingDirectoryAskedFor, false);
    assert.equal(plan({ workdir: '/a/../b/' }).workingDirectory, '/b');
    assert.equal(plan({ workdir: '/b' }).workingDirectoryAskedFor, true);
    assert.equal(plan({ workdir: 'image' }).workingDirectory, plan({}).workingDirectory);
    assert.equal(plan({ workdir: 'image' }).workingDirectoryAskedFor, true);
  });

  it('may be that the job wins over the image, or neither', () => {
    assert.deepEqual(variable({}, 'A'), { name: 'A', value: 'of the image', unlessSet: false });
    assert.deepEqual(variable({ env: 'A' }, 'A'), { name: 'A', value: 'of the image', unlessSet: true });
    assert.deepEqual(variable({ env: 'A=mine' }, 'A'), { name: 'A', value: 'mine', unlessSet: false });
    assert.deepEqual(variable({ env: 'A,A=mine' }, 'A'), { name: 'A', value: 'mine', unlessSet: false });
    assert.deepEqual(variable({ env: 'A=mine,A' }, 'A'), { name: 'A', value: 'mine', unlessSet: true });
    assert.equal(variable({ env: 'B' }, 'B'), undefined);
    assert.equal(variable({ env: 'PATH' }, 'PATH')?.unlessSet, true);
  });

  it("may be a variable of the host's loader", () => {
    assert.ok(plan({}).unsetEnvironment.includes('LD_LIBRARY_PATH'));
    assert.ok(!plan({ env: 'LD_LIBRARY_PATH' }).unsetEnvironment.includes('LD_LIBRARY_PATH'));
  });

  it('may be a root that cannot be written to, whatever the site has for others', () => {
    const readOnly = '[container]\nwritable = false';
    assert.equal(plan({}).readOnlyRoot, false);
    assert.equal(plan({ writable: 'no' }).readOnlyRoot, true);
    assert.equal(plan({}, readOnly).readOnlyRoot, true);
    assert.equal(plan({ writable: 'yes' }, readOnly).readOnlyRoot, false);
  });

  it('may be root, an entrypoint and namespaces', () => {
    const { rootUser, runEntrypoint, unshare } = plan({ root: 'yes', entrypoint: 'yes', unshare: 'uts,net' });
    assert.deepEqual([rootUser, runEntrypoint], [true, true]);
    assert.deepEqual(unshare, [Namespace.NAMESPACE_UTS, Namespace.NAMESPACE_NET]);
    assert.deepEqual([plan({}).rootUser, plan({}).runEntrypoint, plan({}).unshare], [false, false, []]);
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
