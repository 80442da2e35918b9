import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';

import { gpuFile } from '../cluster/gpus.js';
import { layoutOf } from '../cluster/layout.js';
import { buildMpi, mpiImage, soname } from '../support/host-mpi.js';
import { nvidiaSpec } from '../support/nvidia-spec.js';
import { buildSharedObject } from '../support/shared-object.js';
import { clusterSuite } from './cluster-suite.js';

const root = '/var/lib/stowage-test';

/** What a rank prints of a mount, from its own /proc/self/mountinfo: options of it, and its source. */
const mountLine = (target: string): string => `grep " ${target} " /proc/self/mountinfo`;

clusterSuite(
  'CDI devices',
  async () => {
    mkdirSync(root, { recursive: true });
    directory = mkdtempSync(`${root}/devices-`);
    chmodSync(directory, 0o755);
    for (const name of ['cdi', 'data', 'driver', 'mpi']) mkdirSync(`${directory}/${name}`);
    return {
      nodes: 1,
      gpus: 2,
      stowageToml: { cdi: { directories: [`${directory}/cdi`], default: ['site.example/module=base'] } },
    };
  },
  (site) => {
    let image: string;
    const write = (name: string, text: string, mode = 0o644): void =>
      writeFileSync(`${directory}/${name}`, text, { mode });
    const modules = (...devices: { name: string; containerEdits: object }[]): void =>
      write('cdi/site.json', JSON.stringify({ cdiVersion: '0.6.0', kind: 'site.example/module', devices }));
    const base = { name: 'base', containerEdits: { env: ['SITE=here'] } };

    before(async () => {
      image = await site().push(await mpiImage());
    });
    beforeEach(() => {
      const layout = layoutOf(site().cluster.layout.state);
      modules(base);
      buildSharedObject(`${directory}/driver/libcuda.so.550.54.15`, { soname: 'libcuda.so.1' });
      write(
        'cdi/nvidia.yaml',
        nvidiaSpec({
          nodes: gpuFile(layout, '').replace(/\/nvidia$/, ''),
          libraries: `${directory}/driver`,
          inside: '/usr/lib/driver',
          hook: `${directory}/nvidia-cdi-hook`,
        }),
      );
      write('nvidia-cdi-hook', '#!/bin/sh\necho "hook: $*" >&2\n', 0o755);
    });
    after(() => rmSync(directory, { recursive: true }));

    const run = (options: string, command: string) =>
      site().run(`srun -n1 ${options} --image=${image} sh -c '${command}'`);
    const prints = async (options: string, command: string): Promise<string> => {
      const { code, stdout, stderr } = await run(options, command);
      assert.equal(code, 0, stdout + stderr);
      return stdout;
    };
    const refuses = async (options: string, sentence: RegExp): Promise<void> => {
      const { code, stdout, stderr } = await run(options, 'echo on the loose');
      assert.notEqual(code, 0);
      assert.equal(stdout, '');
      assert.match(stderr, sentence);
    };

    it('gives every container what the site has as a default, unless it is not wanted', async () => {
      assert.equal(await prints('', 'echo $SITE'), 'here\n');
      assert.equal(await prints('--image-device=none', 'echo "<$SITE>"'), '<>\n');
    });

    it('gives a step its GPUs without being asked', async () => {
      const printed = await prints(
        '--gres=gpu:2',
        'for gpu in 0 1; do stat -c "%n %F %t:%T" /dev/nvidia$gpu; done; echo $NVIDIA_VISIBLE_DEVICES',
      );
      const node = 'character special file 1:3';
      assert.equal(printed, `/dev/nvidia0 ${node}\n/dev/nvidia1 ${node}\nvoid\n`);
    });

    it('gives a step those GPUs only that are its own', async () => {
      const printed = await prints('--gres=gpu:1', 'ls /dev | grep "^nvidia[01]"; echo $SLURM_STEP_GPUS');
      assert.match(printed, /^nvidia([01])\n\1\n$/);
    });

    it('gives a step without GPUs none', async () => {
      assert.equal(
        await prints('', 'test -e /dev/nvidia0 || echo none; echo $NVIDIA_VISIBLE_DEVICES'),
        'none\n\n',
      );
      assert.equal(
        await prints('--gres=gpu:1 --image-device=none', 'test -e /dev/nvidia0 || echo none'),
        'none\n',
      );
    });

    it('mounts the driver as the specification says, lets the loader find it, and runs the hook', async () => {
      const { code, stdout, stderr } = await run(
        '--image-device=nvidia.com/gpu=1',
        `${mountLine('/usr/lib/driver/libcuda.so.550.54.15')}; readlink /usr/lib/driver/libcuda.so; readlink /usr/lib/driver/libcuda.so.1; grep -c libcuda.so.1 /etc/ld.so.cache`,
      );
      assert.equal(code, 0, stderr);
      assert.match(stdout, / ro,nosuid,nodev,/);
      assert.match(stdout, /\nlibcuda\.so\.1\nlibcuda\.so\.550\.54\.15\n1\n$/);
      assert.match(stderr, /^hook: enable-cuda-compat --host-driver-version=550\.54\.15$/m);
    });

    it("puts the site's MPI in the place of the image's", async () => {
      buildMpi(`${directory}/mpi/${soname}`, 'the host');
      modules(base, {
        name: 'mpi',
        containerEdits: {
          mounts: [
            { hostPath: `${directory}/mpi`, containerPath: '/opt/site/mpi', options: ['ro', 'rbind'] },
          ],
          hooks: [
            {
              hookName: 'createContainer',
              path: '/usr/bin/nvidia-cdi-hook',
              args: ['nvidia-cdi-hook', 'update-ldcache', '--folder', '/opt/site/mpi'],
            },
          ],
        },
      });
      assert.equal(await prints('', 'which-mpi'), 'the image\n');
      assert.equal(await prints('--image-device=site.example/module=mpi', 'which-mpi'), 'the host\n');
    });

    it('refuses an MPI that needs a newer glibc, instead of a crash in each rank', async () => {
      buildSharedObject(`${directory}/mpi/${soname}`, { soname, needs: { 'libc.so.6': 'GLIBC_2.99' } });
      modules(base, {
        name: 'mpi',
        containerEdits: {
          mounts: [{ hostPath: `${directory}/mpi/${soname}`, containerPath: `/usr/lib/${soname}` }],
        },
      });
      await refuses(
        '--image-device=site.example/module=mpi',
        /device site\.example\/module=mpi brings \/usr\/lib\/libmpi\.so\.12, which needs GLIBC_2\.99, and the image has GLIBC_2\.\d+/,
      );
    });

    it('refuses a bad specification by name and line, and only those who want its devices', async () => {
      write(
        'cdi/bad.yaml',
        'cdiVersion: 0.6.0\nkind: bad.example/x\ndevices:\n- name: one\n  containerEdits: []\n',
      );
      await refuses(
        '--image-device=bad.example/x=one',
        /device bad\.example\/x=one cannot be used: \S+\/cdi\/bad\.yaml:5: devices\[0\]\.containerEdits must be keys and values/,
      );
      assert.equal(await prints('', 'echo $SITE'), 'here\n');
      rmSync(`${directory}/cdi/bad.yaml`);
    });

    it('refuses a device that there is not', () =>
      refuses(
        '--image-device=site.example/module=bass',
        /this node has no device site\.example\/module=bass: \S+ describes base/,
      ));

    it('refuses what a hook refuses, and what is not on the node', async () => {
      write('refuse', '#!/bin/sh\nexit 4\n', 0o755);
      modules(
        base,
        {
          name: 'hook',
          containerEdits: { hooks: [{ hookName: 'createContainer', path: `${directory}/refuse` }] },
        },
        { name: 'gone', containerEdits: { mounts: [{ hostPath: '/no/such', containerPath: '/x' }] } },
        {
          name: 'node',
          containerEdits: { deviceNodes: [{ path: '/dev/null', type: 'c', major: 1, minor: 5 }] },
        },
      );
      await refuses(
        '--image-device=site.example/module=hook',
        /device site\.example\/module=hook: hook \S+\/refuse: it failed \(exit status 4\)/,
      );
      await refuses('--image-device=site.example/module=gone', /'\/no\/such'/);
      await refuses(
        '--image-device=site.example/module=node',
        /'\/dev\/null' on this node is 1:3, and its specification says 1:5/,
      );
    });
  },
);

let directory = '';
