import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { DeviceSpecs } from '../../wrapper/cdi/device-specs.js';
import type { DevicePlan } from '../../wrapper/cdi/plan-devices.js';
import type { DevicesConfig } from '../../wrapper/config/config.js';
import { StowageError } from '../../wrapper/error.js';
import { nvidiaSpec } from '../support/nvidia-spec.js';

/** A specification of a kind, whose devices mount themselves on their name and tell in $WHERE where it lies. */
const spec = (kind: string, where: string, ...names: string[]): string =>
  JSON.stringify({
    cdiVersion: '0.6.0',
    kind,
    devices: names.map((name) => ({
      name,
      containerEdits: {
        env: [`WHERE=${where}`],
        mounts: [{ hostPath: `/host/${name}`, containerPath: `/inside/${name}` }],
      },
    })),
  });

describe('DeviceSpecs', () => {
  let directory: string;
  let config: DevicesConfig;
  let said: string[];
  let specs: DeviceSpecs;

  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stowage-cdi-'));
    for (const name of ['static', 'dynamic']) fs.mkdirSync(path.join(directory, name));
    config = {
      directories: [path.join(directory, 'static'), path.join(directory, 'dynamic'), `${directory}/none`],
      default: [],
      gpuKinds: ['nvidia.com/gpu', 'amd.com/gpu'],
    };
    said = [];
    specs = new DeviceSpecs({
      write: (_level, event, fields) => void said.push(`${event} ${JSON.stringify(fields)}`),
    });
  });
  afterEach(() => fs.rmSync(directory, { recursive: true }));

  const write = (name: string, text: string): void => fs.writeFileSync(path.join(directory, name), text);
  const plan = (asked: string[], given: Record<string, string> = {}): Promise<DevicePlan> =>
    specs.plan(asked, new Map(Object.entries(given)), config);
  const targets = async (asked: string[], given?: Record<string, string>): Promise<string[]> =>
    (await plan(asked, given)).mounts.map(({ target }) => target);
  const refuses = async (
    asked: string[],
    code: string,
    sentence: RegExp,
    given?: Record<string, string>,
  ): Promise<void> => {
    await assert.rejects(plan(asked, given), (error) => {
      assert.ok(error instanceof StowageError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, sentence);
      return true;
    });
  };

  it('gives nothing to whom asks for nothing', async () => {
    write('static/a.json', spec('a.b/c', 'a', 'x'));
    assert.deepEqual(await targets([]), []);
  });

  it('gives what is named, several at once and one after another', async () => {
    write('static/a.json', spec('a.b/c', 'a', 'x', 'y', 'z'));
    assert.deepEqual(await targets(['a.b/c=y, a.b/c=x', 'a.b/c=z']), ['/inside/y', '/inside/x', '/inside/z']);
  });

  it('says which device brought a mount, and which came by themselves', async () => {
    write('static/a.json', spec('a.b/c', 'a', 'x', 'y'));
    config.default = ['a.b/c=x'];
    const { mounts, automaticDevices } = await plan(['a.b/c=y']);
    assert.deepEqual(
      mounts.map(({ origin }) => origin),
      ['a.b/c=x', 'a.b/c=y'],
    );
    assert.deepEqual(automaticDevices, ['a.b/c=x']);
    assert.deepEqual((await plan(['a.b/c=x'])).automaticDevices, []);
  });

  it('leaves the defaults of the site out where only what is named is wanted', async () => {
    write('static/a.json', spec('a.b/c', 'a', 'x', 'y'));
    config.default = ['a.b/c=x'];
    assert.deepEqual(await targets([]), ['/inside/x']);
    assert.deepEqual(await targets(['none']), []);
    assert.deepEqual(await targets(['none,a.b/c=y']), ['/inside/y']);
  });

  it('lets a later directory go before an earlier one, device by device', async () => {
    write('static/a.json', spec('a.b/c', 'static', 'x', 'y'));
    write('dynamic/a.json', spec('a.b/c', 'dynamic', 'x'));
    assert.deepEqual((await plan(['a.b/c=x'])).environment, [{ name: 'WHERE', value: 'dynamic' }]);
    assert.deepEqual((await plan(['a.b/c=y'])).environment, [{ name: 'WHERE', value: 'static' }]);
  });

  it('refuses only the devices that two files of one directory describe', async () => {
    write('static/a.json', spec('a.b/c', 'a', 'x', 'y'));
    write('static/b.json', spec('a.b/c', 'b', 'x', 'z'));
    await refuses(
      ['a.b/c=x'],
      'device-unusable',
      /^device a\.b\/c=x .*both .*\/static\/a\.json and .*\/static\/b\.json/,
    );
    assert.deepEqual(await targets(['a.b/c=y,a.b/c=z']), ['/inside/y', '/inside/z']);
  });

  it('sees at once that a file has come, changed in its place, or gone', async () => {
    await refuses(['a.b/c=x'], 'device-unknown', /no specification in .*static, .*dynamic, .*none$/);
    write('static/a.json', spec('a.b/c', 'first', 'x'));
    assert.deepEqual((await plan(['a.b/c=x'])).environment, [{ name: 'WHERE', value: 'first' }]);
    write('static/a.json', spec('a.b/c', 'other', 'x'));
    assert.deepEqual((await plan(['a.b/c=x'])).environment, [{ name: 'WHERE', value: 'other' }]);
    fs.rmSync(path.join(directory, 'static/a.json'));
    await refuses(['a.b/c=x'], 'device-unknown', /no specification/);
  });

  it('refuses devices of a kind with a bad file, and no others', async () => {
    write('static/a.json', spec('a.b/c', 'a', 'x'));
    write('static/bad.yaml', 'cdiVersion: 0.6.0\nkind: a.b/bad\ndevices:\n- annotations: {}\n');
    await refuses(
      ['a.b/bad=x'],
      'device-unusable',
      /^device a\.b\/bad=x cannot be used: .*\/static\/bad\.yaml:4: devices\[0\] lacks "name"; tell the administrators/,
    );
    assert.deepEqual(await targets(['a.b/c=x']), ['/inside/x']);
  });

  it('says a bad file once in the log, and again when it is bad in another way', async () => {
    write('static/bad.yaml', 'a: [');
    await targets([], { SLURM_STEP_GPUS: '0' });
    await targets([], { SLURM_STEP_GPUS: '0' });
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /^device-specification .*bad\.yaml:1: /);
    write('static/bad.yaml', '');
    await targets([], { SLURM_STEP_GPUS: '0' });
    assert.equal(said.length, 2);
  });

  it('names a file of which it cannot tell what it describes to whom misses a device', async () => {
    write('static/bad.yaml', '\nkind: [');
    await refuses(['a.b/c=x'], 'device-unknown', /, and one cannot be used: .*bad\.yaml:2: /);
  });

  it('waits for no FIFO, and reads nothing that is no file', async () => {
    assert.equal(spawnSync('mkfifo', [path.join(directory, 'static/fifo.yaml')]).status, 0);
    fs.mkdirSync(path.join(directory, 'static/directory.json'));
    fs.symlinkSync('/dev/zero', path.join(directory, 'static/zero.json'));
    fs.symlinkSync('nowhere', path.join(directory, 'static/nowhere.json'));
    fs.writeFileSync(path.join(directory, 'static/huge.json'), '');
    fs.truncateSync(path.join(directory, 'static/huge.json'), 4 * 1024 ** 2 + 1);
    write('static/notes.txt', 'no specification');
    write('static/a.json', spec('a.b/c', 'a', 'x'));
    assert.deepEqual(await targets(['a.b/c=x']), ['/inside/x']);
    const all = said.join('\n');
    for (const sentence of [
      /directory\.json: is not a regular file/,
      /fifo\.yaml: is not a regular file/,
      /huge\.json: is larger than 4194304 bytes/,
      /nowhere\.json: cannot be read \(ENOENT/,
      /zero\.json: is not a regular file/,
    ])
      assert.match(all, sentence);
    assert.equal(said.length, 5);
  });

  it('names what there is when a device or kind is unknown', async () => {
    write('static/a.json', spec('site.example/mpi', 'a', 'cray', 'intel'));
    await refuses(
      ['site.example/mpi=crax'],
      'device-unknown',
      /no device site\.example\/mpi=crax: .*\/a\.json describes cray, intel$/,
    );
    await refuses(
      ['site.example/mpj=cray'],
      'device-unknown',
      /devices here are site\.example\/mpi; did you mean "site\.example\/mpi"\?/,
    );
    for (const name of ['0', 'gpu=0', '', 'a.b/c', 'a.b/c=', 'a.b/c=x/y', '=x'])
      await refuses(
        [name],
        'option-invalid',
        /^--image-device: ".*" is no device; they are written vendor\/class=name/,
      );
  });

  it('has the edits of a whole file once, for whichever of its devices', async () => {
    write('static/nvidia.yaml', nvidiaSpec());
    const { mounts, hooks, deviceNodes } = await plan(['nvidia.com/gpu=0,nvidia.com/gpu=1']);
    assert.deepEqual(
      mounts.map(({ target }) => target),
      ['/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15'],
    );
    assert.deepEqual(
      deviceNodes.map(({ path: node, device }) => [node, device]),
      [
        ['/dev/nvidia0', 'nvidia.com/gpu=0'],
        ['/dev/nvidiactl', 'nvidia.com/gpu=0'],
        ['/dev/nvidia1', 'nvidia.com/gpu=1'],
      ],
    );
    assert.equal(hooks.length, 1);
    assert.equal(hooks[0]?.device, 'nvidia.com/gpu=0');
  });

  describe('of the GPUs that Slurm gave a step', () => {
    const nodes = async (given: Record<string, string>, asked: string[] = []): Promise<string[]> =>
      (await plan(asked, given)).deviceNodes
        .map(({ path: node }) => node)
        .filter((node) => /nvidia\d/.test(node))
        .sort();
    const one = ['/dev/nvidia1'];
    const both = ['/dev/nvidia0', '/dev/nvidia1'];

    beforeEach(() => write('static/nvidia.yaml', nvidiaSpec()));

    it('takes those by the number that they have on the node', async () => {
      // In its cgroup the step's only GPU is number 0, whichever it is.
      assert.deepEqual(await nodes({ SLURM_STEP_GPUS: '1', CUDA_VISIBLE_DEVICES: '0' }), one);
      assert.deepEqual(await nodes({ SLURM_STEP_GPUS: '0,1' }), both);
      assert.deepEqual(await nodes({ SLURM_STEP_GPUS: '0-1' }), both);
      assert.deepEqual(await nodes({ SLURM_JOB_GPUS: '1' }), one);
      assert.deepEqual(await nodes({ CUDA_VISIBLE_DEVICES: '1' }), one);
    });
    it('takes those by name where the step was told names', async () => {
      assert.deepEqual(await nodes({ SLURM_STEP_GPUS: '1', CUDA_VISIBLE_DEVICES: 'GPU-8d3e' }), [
        '/dev/nvidia0',
      ]);
      assert.deepEqual(await nodes({ NVIDIA_VISIBLE_DEVICES: '0:1', CUDA_VISIBLE_DEVICES: '0:1' }), [
        '/dev/nvidia0',
      ]);
    });
    it('takes all for a MIG device that has no name here: Slurm counts these in its own way', async () =>
      assert.deepEqual(await nodes({ SLURM_STEP_GPUS: '1', CUDA_VISIBLE_DEVICES: 'MIG-77' }), both));
    it('takes them by number if the name is not known', async () =>
      assert.deepEqual(await nodes({ SLURM_STEP_GPUS: '1', CUDA_VISIBLE_DEVICES: 'GPU-ffff' }), one));
    it('takes all for a number that the specification does not have', async () =>
      assert.deepEqual(await nodes({ SLURM_STEP_GPUS: '7' }), both));
    it('takes none where the step has none', async () => {
      for (const given of [
        {},
        { SLURM_STEP_GPUS: '' },
        { CUDA_VISIBLE_DEVICES: 'NoDevFiles' },
        { CUDA_VISIBLE_DEVICES: '-1' },
      ])
        assert.deepEqual(await nodes(given), []);
    });
    it('takes those that the user named instead, and others besides', async () => {
      write('static/a.json', spec('a.b/c', 'a', 'x'));
      assert.deepEqual(await nodes({ SLURM_STEP_GPUS: '0' }, ['nvidia.com/gpu=1']), one);
      assert.deepEqual(await nodes({ SLURM_STEP_GPUS: '1' }, ['a.b/c=x']), one);
      assert.deepEqual(await nodes({ SLURM_STEP_GPUS: '1' }, ['none']), []);
    });
    it('takes those of the kinds that the site says', async () => {
      config.gpuKinds = ['amd.com/gpu'];
      assert.deepEqual(await nodes({ SLURM_STEP_GPUS: '0' }), []);
    });
    it('refuses the step if the specification is bad, and not those without GPUs', async () => {
      write('static/nvidia.yaml', nvidiaSpec().replace('path: /dev/nvidia0', 'path: dev/nvidia0'));
      await refuses(
        [],
        'device-unusable',
        /nvidia\.yaml:\d+: devices\[0\]\.containerEdits\.deviceNodes\[0\]\.path must be an absolute path/,
        { SLURM_STEP_GPUS: '0' },
      );
      assert.deepEqual(await nodes({}), []);
    });
    it('says which GPUs the specification lacks', async () => {
      write('static/nvidia.yaml', spec('nvidia.com/gpu', 'a', '0'));
      await refuses(
        [],
        'device-unknown',
        /^Slurm gave this step GPU 3, and nvidia\.com\/gpu has 0 only; .*--image-device=none/,
        { SLURM_STEP_GPUS: '3' },
      );
    });
  });
});
