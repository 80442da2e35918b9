import assert from 'node:assert/strict';

import { parseSpec, type Spec } from '../../wrapper/cdi/spec.js';
import { SpecProblem } from '../../wrapper/cdi/spec-problem.js';
import { nvidiaSpec } from '../support/nvidia-spec.js';

const path = '/etc/cdi/x.yaml';
const head = ['cdiVersion: 0.6.0', 'kind: vendor.com/device'];
/** A specification whose device "one" has these edits, from the sixth line on. */
const withEdits = (lines: string[], version = '0.7.0'): string =>
  [
    `cdiVersion: ${version}`,
    'kind: vendor.com/device',
    'devices:',
    '- name: one',
    '  containerEdits:',
    ...lines.map((line) => `    ${line}`),
  ].join('\n');
const edits = (lines: string[], version?: string) => {
  const device = parseSpec(path, withEdits(lines, version)).devices.get('one');
  assert.ok(device);
  return device;
};
const mountOf = (...options: string[]) => {
  const [mount] = edits([
    'mounts:',
    '- hostPath: /a',
    '  containerPath: /b',
    `  options: [${options.join(', ')}]`,
  ]).mounts;
  assert.ok(mount);
  return mount;
};
const problemOf = (text: string): SpecProblem => {
  let problem: unknown;
  assert.throws(
    () => parseSpec(path, text),
    (error) => {
      problem = error;
      return error instanceof SpecProblem;
    },
  );
  return problem as SpecProblem;
};

/** Each line holds the one before ten times. */
const bomb = (lines: number): string =>
  Array.from({ length: lines }, (_, i) => {
    const item = i === 0 ? 'x' : `*a${i - 1}`;
    return `a${i}: &a${i} [${Array.from({ length: 10 }, () => item).join(', ')}]\n`;
  }).join('');

describe('parseSpec', () => {
  describe('of a specification as nvidia-ctk writes it', () => {
    let spec: Spec;
    before(() => {
      spec = parseSpec('/etc/cdi/nvidia.yaml', nvidiaSpec());
    });

    it('has kind and devices', () => {
      assert.equal(spec.kind, 'nvidia.com/gpu');
      assert.deepEqual([...spec.devices.keys()], ['0', '1', '0:1', 'GPU-8d3e', 'all']);
    });

    it('has device nodes and mounts, with all flags', () => {
      assert.deepEqual(spec.devices.get('0')?.nodes, [
        { source: '/dev/nvidia0', path: '/dev/nvidia0', type: '', major: 0, minor: 0 },
      ]);
      const library = spec.common.mounts.find(({ target }) => target.endsWith('libcuda.so.550.54.15'));
      assert.deepEqual(library, {
        kind: 0,
        source: '/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15',
        target: '/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15',
        readOnly: true,
        noSuid: true,
        noDev: true,
        noExec: false,
        propagation: 0,
        propagationRecursive: false,
        sizeBytes: 0,
        mode: 0,
      });
    });

    it('has its symlinks, library directories and environment', () => {
      assert.deepEqual(spec.common.symlinks, [
        { target: 'libcuda.so.1', path: '/usr/lib/x86_64-linux-gnu/libcuda.so' },
        { target: '../libnvidia-allocator.so.1', path: '/usr/lib/x86_64-linux-gnu/gbm/nvidia-drm_gbm.so' },
      ]);
      assert.deepEqual(spec.common.libraryDirectories, ['/usr/lib/x86_64-linux-gnu']);
      assert.deepEqual(spec.common.environment, [{ name: 'NVIDIA_VISIBLE_DEVICES', value: 'void' }]);
    });

    it('runs only the hook that depends on the image', () =>
      assert.deepEqual(spec.common.hooks, [
        {
          path: '/usr/bin/nvidia-cdi-hook',
          arguments: ['nvidia-cdi-hook', 'enable-cuda-compat', '--host-driver-version=550.54.15'],
          environment: [],
          timeoutSeconds: 0,
        },
      ]));
  });

  it('reads JSON, indented with tabs or not at all', () => {
    const json = {
      cdiVersion: '0.6.0',
      kind: 'a.b/c',
      devices: [{ name: 'x', containerEdits: { env: ['A=1'] } }],
    };
    for (const indent of ['', '\t', 2]) {
      const spec = parseSpec('/etc/cdi/x.json', JSON.stringify(json, null, indent));
      assert.deepEqual(spec.devices.get('x')?.environment, [{ name: 'A', value: '1' }]);
    }
  });

  for (const version of ['0.3.0', '0.4.0', '0.5.0', '0.6.0', '0.7.0', '0.8.0', '1.0.0', '1.1.0', '1.1.1'])
    it(`reads version ${version}`, () =>
      assert.deepEqual(edits(['env: [A=1]'], version).environment, [{ name: 'A', value: '1' }]));

  it('knows every option of a bind mount, the last one winning', () => {
    const { readOnly, noSuid, noDev, noExec } = mountOf(
      'rbind',
      'ro',
      'nosuid',
      'nodev',
      'noexec',
      'relatime',
    );
    assert.deepEqual([readOnly, noSuid, noDev, noExec], [true, true, true, true]);
    assert.equal(mountOf('ro', 'rw').readOnly, false);
    assert.deepEqual([mountOf('rslave').propagation, mountOf('rslave').propagationRecursive], [2, true]);
    assert.deepEqual([mountOf('private').propagation, mountOf('private').propagationRecursive], [1, false]);
  });

  it('knows tmpfs with size and mode', () => {
    const [mount] = edits([
      'mounts:',
      '- {hostPath: tmpfs, containerPath: /scratch, type: tmpfs, options: [size=64m, mode=1777, nosuid]}',
    ]).mounts;
    assert.deepEqual(
      [mount?.kind, mount?.source, mount?.sizeBytes, mount?.mode, mount?.noSuid],
      [1, '', 64 * 1024 ** 2, 0o1777, true],
    );
  });

  it('keeps where a target is inside the root', () => {
    const [mount] = edits(['mounts: [{hostPath: /a/../b, containerPath: /x/../../y//z/}]']).mounts;
    assert.deepEqual([mount?.source, mount?.target], ['/a/../b', '/y/z']);
  });

  it('has what a node must be, and which one of the host it is', () =>
    assert.deepEqual(
      edits(['deviceNodes: [{path: /dev/x, hostPath: /dev/y, type: c, major: 1, minor: 3}]']).nodes,
      [{ source: '/dev/y', path: '/dev/x', type: 'c', major: 1, minor: 3 }],
    ));

  it('notes groups, in both spellings, without 0', () => {
    assert.deepEqual(edits(['additionalGids: [0, 44]']).groups, [44]);
    assert.deepEqual(edits(['additionalGIDs: [39]']).groups, [39]);
  });

  it('leaves to a program what it does not know of it', () => {
    const hooks = (args: string) =>
      edits([`hooks: [{hookName: createContainer, path: /usr/bin/nvidia-ctk, args: [${args}]}]`]).hooks
        .length;
    assert.equal(hooks('nvidia-ctk, hook, update-ldcache, --folder, /usr/lib'), 0);
    assert.equal(hooks('nvidia-ctk, hook, update-ldcache, --folder=/usr/lib'), 0);
    assert.equal(hooks('nvidia-ctk, hook, update-ldcache, --folder'), 1);
    assert.equal(hooks('nvidia-ctk, hook, update-ldcache, --new-flag, x'), 1);
    assert.equal(hooks('nvidia-ctk, hook, create-symlinks, --link, no-colons'), 1);
    assert.equal(hooks('nvidia-ctk, hook, create-symlinks, --csv-filename, /x.csv'), 1);
    assert.equal(hooks('nvidia-ctk, hook, constructor'), 1);
    assert.equal(hooks('nvidia-ctk'), 1);
  });

  for (const [what, lines, sentence] of [
    ['cache classes', ['intelRdt: {closID: x}'], ':6: devices[0].containerEdits.intelRdt cannot be given'],
    [
      'network devices',
      ['netDevices: [{hostInterfaceName: eth0, name: eth1}]'],
      ':6: devices[0].containerEdits.netDevices cannot be given',
    ],
    [
      'hooks after the start',
      [
        'hooks:',
        '- hookName: createContainer',
        '  path: /bin/true',
        '- path: /bin/x',
        '  hookName: poststop',
      ],
      ':10: devices[0].containerEdits.hooks[1].hookName is poststop',
    ],
  ] as const) {
    it(`says which line asks for ${what}, which no user can have`, () => {
      const { impossible } = edits([...lines], '1.1.0');
      assert.ok(impossible?.startsWith(path + sentence), impossible);
    });
  }

  const bad: [string, string, string][] = [
    ['nothing', '', ':1: this must be keys and values'],
    ['what is not YAML', `${head.join('\n')}\ndevices: [`, ':3: Flow sequence'],
    ['a key given twice', `${head.join('\n')}\nkind: a.b/c`, ':3: Map keys must be unique'],
    ['two documents', `${head.join('\n')}\n---\na: 1`, ':3: Source contains multiple documents'],
    ['no version', 'kind: a.b/c\ndevices: [{name: x}]', ':1: there is no "cdiVersion"'],
    ['no devices', head.join('\n'), ':1: there is no "devices"'],
    ['an empty list of devices', `${head.join('\n')}\ndevices: []`, ':3: devices must not be empty'],
    [
      'a later version',
      'cdiVersion: 1.2.0\nkind: a.b/c\ndevices: [{name: x}]',
      ':1: cdiVersion must be 0.3.0 to 1.1.0, not "1.2.0"',
    ],
    [
      'an earlier version',
      'cdiVersion: 0.2.0\nkind: a.b/c\ndevices: [{name: x}]',
      ':1: cdiVersion must be 0.3.0 to 1.1.0',
    ],
    [
      'a version that is a number',
      'cdiVersion: 0.6\nkind: a.b/c\ndevices: [{name: x}]',
      ':1: cdiVersion must be a text; numbers in YAML need quotes',
    ],
    [
      'a kind without class',
      'cdiVersion: 0.6.0\nkind: vendor.com\ndevices: [{name: x}]',
      ':2: kind must be vendor/class',
    ],
    [
      'a kind of three parts',
      'cdiVersion: 0.6.0\nkind: a.b/c/d\ndevices: [{name: x}]',
      ':2: kind must be vendor/class',
    ],
    [
      'a name with a slash',
      `${head.join('\n')}\ndevices:\n- name: a/b`,
      ':4: devices[0].name "a/b" cannot be a name',
    ],
    [
      'a name given twice',
      `${head.join('\n')}\ndevices:\n- name: a\n- name: a`,
      ':5: devices[1].name "a" was given to another device before',
    ],
    [
      'an unknown key',
      `${head.join('\n')}\ndevice:\n- name: a\ndevices: [{name: a}]`,
      ':3: device is no key of CDI; did you mean "devices"?',
    ],
    [
      'an unknown key deep inside',
      withEdits(['mounts:', '- hostPath: /a', '  containerpath: /b']),
      ':8: devices[0].containerEdits.mounts[0].containerpath is no key of CDI; did you mean "containerPath"?',
    ],
    [
      'a mount without target',
      withEdits(['env: [A=1]', 'mounts:', '- hostPath: /a']),
      ':8: devices[0].containerEdits.mounts[0] lacks "containerPath"',
    ],
    [
      'a relative source',
      withEdits(['mounts:', '- hostPath: a', '  containerPath: /b']),
      ':7: devices[0].containerEdits.mounts[0].hostPath must be an absolute path, not "a"',
    ],
    [
      'a relative target',
      withEdits(['mounts:', '- hostPath: /a', '  containerPath: b']),
      ':8: devices[0].containerEdits.mounts[0].containerPath must be an absolute path',
    ],
    [
      'the root as a target',
      withEdits(['mounts:', '- hostPath: /a', '  containerPath: /x/..']),
      ':8: devices[0].containerEdits.mounts[0].containerPath must not be the root directory',
    ],
    [
      'a target in /proc',
      withEdits(['mounts:', '- hostPath: /a', '  containerPath: /x/../proc/driver']),
      ':8: devices[0].containerEdits.mounts[0].containerPath must not be in /proc or /sys',
    ],
    [
      'an unknown mount option',
      withEdits(['mounts:', '- hostPath: /a', '  containerPath: /b', '  options:', '  - ro', '  - sync']),
      ':11: devices[0].containerEdits.mounts[0].options[1] "sync" is no option',
    ],
    [
      'size of a bind mount',
      withEdits(['mounts: [{hostPath: /a, containerPath: /b, options: [size=1m]}]']),
      '"size=1m" is no option',
    ],
    [
      'a file system of root',
      withEdits(['mounts:', '- hostPath: proc', '  containerPath: /b', '  type: proc']),
      ':9: devices[0].containerEdits.mounts[0].type must be bind or tmpfs, not "proc"',
    ],
    [
      'a relative hook',
      withEdits(['hooks:', '- hookName: createContainer', '  path: hook']),
      ':8: devices[0].containerEdits.hooks[0].path must be an absolute path',
    ],
    [
      'an unknown hook',
      withEdits(['hooks:', '- hookName: beforeAll', '  path: /hook']),
      ':7: devices[0].containerEdits.hooks[0].hookName must be one of prestart, createRuntime',
    ],
    [
      'a hook without time',
      withEdits(['hooks:', '- hookName: prestart', '  path: /hook', '  timeout: 0']),
      ':9: devices[0].containerEdits.hooks[0].timeout must be at least 1',
    ],
    [
      'a variable without value',
      withEdits(['env:', '- A=1', '- B']),
      ':8: devices[0].containerEdits.env[1] must be NAME=VALUE',
    ],
    [
      'a variable of the hook without name',
      withEdits(['hooks: [{hookName: prestart, path: /h, env: [=1]}]']),
      'hooks[0].env[0] must be NAME=VALUE',
    ],
    [
      'a number as an argument',
      withEdits(['hooks:', '- hookName: prestart', '  path: /hook', '  args: [chmod, 755]']),
      ':9: devices[0].containerEdits.hooks[0].args[1] must be a text; numbers in YAML need quotes',
    ],
    [
      'an unknown type of node',
      withEdits(['deviceNodes: [{path: /dev/x, type: d}]']),
      ':6: devices[0].containerEdits.deviceNodes[0].type must be one of b, c, u, p',
    ],
    [
      'a negative number of a node',
      withEdits(['deviceNodes: [{path: /dev/x, major: -1}]']),
      'deviceNodes[0].major must be at least 0',
    ],
    [
      'annotations before 0.6',
      `cdiVersion: 0.5.0\nkind: a.b/c\nannotations: {a: b}\ndevices: [{name: x}]`,
      ':3: annotations is part of CDI 0.6.0 and later; cdiVersion says 0.5.0',
    ],
    [
      'a dot in the class before 0.6',
      `cdiVersion: 0.5.0\nkind: a.b/c.d\ndevices: [{name: x}]`,
      ':2: kind has a dot after the slash, which is part of CDI 0.6.0',
    ],
    [
      'a digit at first before 0.5',
      `cdiVersion: 0.4.0\nkind: a.b/c\ndevices:\n- name: "0"`,
      ':4: devices[0].name begins with a digit, which is part of CDI 0.5.0',
    ],
    [
      'another node of the host before 0.5',
      withEdits(['deviceNodes: [{path: /a, hostPath: /b}]'], '0.4.0'),
      'deviceNodes[0].hostPath is part of CDI 0.5.0',
    ],
    [
      'the type of a mount before 0.4',
      withEdits(['mounts: [{hostPath: /a, containerPath: /b, type: bind}]'], '0.3.0'),
      'mounts[0].type is part of CDI 0.4.0',
    ],
    ['groups before 0.7', withEdits(['additionalGids: [1]'], '0.6.0'), 'additionalGids is part of CDI 0.7.0'],
    [
      'network devices before 1.1',
      withEdits(['netDevices: [{hostInterfaceName: a, name: b}]'], '1.0.0'),
      'netDevices is part of CDI 1.1.0',
    ],
    ['an alias without anchor', withEdits(['env: *nothing']), ': cannot be read as YAML (Unresolved alias'],
    ['ten billion entries in ten lines', bomb(10), ': cannot be read as YAML (Excessive alias count'],
    ['a list in a list in a list, a hundred thousand times', '['.repeat(100_000), '/etc/cdi/x.yaml'],
  ];
  for (const [what, text, sentence] of bad) {
    it(`refuses ${what}, by name and line`, () => {
      const { message } = problemOf(text);
      assert.ok(message.startsWith(path) && message.includes(sentence), message);
    });
  }

  it('says of what kind the devices are that cannot be had, if it is written', () => {
    assert.equal(problemOf(withEdits(['env: [A]'])).kind, 'vendor.com/device');
    assert.equal(problemOf(withEdits(['enf: [A=1]'])).kind, 'vendor.com/device');
    assert.equal(problemOf('kind: [').kind, undefined);
  });
});
