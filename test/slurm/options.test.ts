/** What is asked for besides the image: how it gets from a command, a script or the environment to the ranks. */
import assert from 'node:assert/strict';

import type { RunOptions } from '../cluster/run.js';
import { batch } from './batch.js';
import { clusterSuite, inNewDirectory } from './cluster-suite.js';
import { libexecOfFake } from './fake-helper.js';

/** What arrived in each step, as the helper got it: "image=a", "mount=/a:/b", … */
const arrived = (output: string): string[][] =>
  output
    .split('\n')
    .filter((line) => line.startsWith('asked for: '))
    .map((line) => line.slice('asked for: '.length).split('|').slice(0, -1));

const script = (...lines: string[]): string => ['#!/bin/bash', ...lines].join('\n');

clusterSuite(
  'options',
  () => Promise.resolve({ plugin: { args: { libexec: libexecOfFake() } } }),
  (site) => {
    /** What arrived in the steps of a command line, all of which are refused by the helper. */
    const steps = async (command: string, options?: RunOptions): Promise<string[][]> => {
      const { stdout, stderr } = await site().run(`${inNewDirectory}; ${command}`, options);
      return arrived(`${stdout}${stderr}`);
    };
    const ofBatch = (options: string, ...lines: string[]): string =>
      `${batch(`${options} --output=out`, script(...lines))}; cat out`;

    const good: [string, string][] = [
      ['--image-mount=/a:/b:ro', 'mount=/a:/b:ro'],
      ['--image-workdir=/work', 'workdir=/work'],
      ['--image-env=A=1,B', 'env=A=1,B'],
      ['--image-home', 'home=yes'],
      ['--no-image-home', 'home=no'],
      ['--image-writable', 'writable=yes'],
      ['--image-readonly', 'writable=no'],
      ['--image-root', 'root=yes'],
      ['--no-image-root', 'root=no'],
      ['--image-entrypoint', 'entrypoint=yes'],
      ['--no-image-entrypoint', 'entrypoint=no'],
      ['--image-device=site.example/mpi=cray', 'device=site.example/mpi=cray'],
      ['--image-name=app:create', 'name=app:create'],
      ['--image-save=/data/app.sqsh', 'save=/data/app.sqsh'],
      ['--image-unshare=net,uts', 'unshare=net,uts'],
    ];

    describe('of a command', () => {
      it('arrive, each', async () => {
        const all = good.map(([option]) => option).filter((option) => !option.startsWith('--no-'));
        const found = await steps(`srun --image=a ${all.join(' ')} true`);
        assert.deepEqual(found, [
          [
            'image=a',
            'mount=/a:/b:ro',
            'workdir=/work',
            'env=A=1,B',
            'home=yes',
            'writable=no',
            'root=yes',
            'entrypoint=yes',
            'device=site.example/mpi=cray',
            'name=app:create',
            'save=/data/app.sqsh',
            'unshare=net,uts',
          ],
        ]);
      });

      for (const [option, value] of good.filter(([text]) => /^--(no-)?image-(\w+)$/.test(text))) {
        it(`${option} arrives`, async () =>
          assert.deepEqual(await steps(`srun --image=a ${option} true`), [['image=a', value]]));
      }

      it('the later of a pair wins', async () =>
        assert.deepEqual(await steps('srun --image=a --image-home --no-image-home --image-home true'), [
          ['image=a', 'home=yes'],
        ]));

      it('repeated, mounts, variables and devices add up, and others are replaced', async () =>
        assert.deepEqual(
          await steps(
            'srun --image=a --image-mount=/a --image-mount=/b,/c --image-env=A=1 --image-env=B=2 --image-device=x/y=1 --image-device=x/y=2 --image-workdir=/a --image-workdir=/b true',
          ),
          [
            [
              'image=a',
              ...[
                'mount=/a',
                'mount=/b,/c',
                'workdir=/b',
                'env=A=1',
                'env=B=2',
                'device=x/y=1',
                'device=x/y=2',
              ],
            ],
          ],
        ));

      it('relative paths start where they were written', async () => {
        const command =
          'mkdir in; srun --chdir=/ --image=a --image-mount=./x:/x,../y:/y --image-save=z.tar true; pwd';
        const { stdout, stderr } = await site().run(`${inNewDirectory}; ${command}`);
        const here = stdout.trim();
        assert.deepEqual(arrived(stderr), [
          ['image=a', `mount=${here}/x:/x,${here}/../y:/y`, `save=${here}/z.tar`],
        ]);
      });

      it('nothing is made of commas, quotes and colons', async () =>
        assert.deepEqual(await steps(`srun --image=a --image-mount='/a b\\,c\\:"$x":/d' true`), [
          ['image=a', 'mount=/a b\\,c\\:"$x":/d'],
        ]));

      it('the name of a container is enough', async () =>
        assert.deepEqual(await steps('srun --image-name=app true'), [['image=', 'name=app']]));

      it('an environment is handed on as it is', async () =>
        assert.deepEqual(await steps('srun --image=@site_mpi true'), [['image=@site_mpi']]));

      it('arrive once on each node', async () =>
        assert.deepEqual(await steps('srun -N2 -n8 --image=a --image-mount=/a true'), [
          ['image=a', 'mount=/a'],
          ['image=a', 'mount=/a'],
        ]));
    });

    describe('of a job', () => {
      const job = script('#SBATCH --image=a --image-mount=/job --image-workdir=/job --no-image-home');

      for (const more of ['', '--export=NONE', '--export=PATH']) {
        it(`in #SBATCH hold for each srun, which may say more ${more}`, async () => {
          const found = await steps(
            ofBatch(
              more,
              ...job.split('\n').slice(1),
              'srun true',
              'srun --image-mount=/step --image-workdir=/step --image-home true',
              'srun --export=NONE --image=b true',
            ),
          );
          assert.deepEqual(found, [
            ['image=a', 'mount=/job', 'workdir=/job', 'home=no'],
            ['image=a', 'mount=/job', 'mount=/step', 'workdir=/step', 'home=yes'],
            ['image=b', 'mount=/job', 'workdir=/job', 'home=no'],
          ]);
        });
      }

      it('on the command line of sbatch count more than those in its script', async () =>
        assert.deepEqual(
          await steps(
            ofBatch(
              '--image=b --image-mount=/line --image-mount=/line2 --image-home',
              ...job.split('\n').slice(1),
              'srun true',
            ),
          ),
          [['image=b', 'mount=/job', 'mount=/line', 'mount=/line2', 'workdir=/job', 'home=yes']],
        ));

      it('of salloc hold for its steps', async () =>
        assert.deepEqual(
          await steps('salloc -Q --image=a --image-mount=/a --image-mount=/b srun --image-mount=/c true'),
          [['image=a', 'mount=/a', 'mount=/b', 'mount=/c']],
        ));

      it('hold for a job that is submitted from inside it', async () => {
        const inner = batch("--image-mount=/inner --output=inner --wrap='srun true'");
        assert.deepEqual(await steps(`${ofBatch('--image=a --image-mount=/outer', inner)}; cat inner`), [
          ['image=a', 'mount=/outer', 'mount=/inner'],
        ]);
      });

      it('leave no trace in a job without any', async () => {
        const { stdout } = await site().run(
          `${inNewDirectory}; export SLURM_STOWAGE_IMAGE=a SLURM_STOWAGE_IMAGE_MOUNT=/a; ${ofBatch('', 'srun echo on the host; env | grep ^SLURM_STOWAGE')}`,
        );
        assert.equal(stdout, 'on the host\n');
      });
    });

    describe('of the environment', () => {
      const env = {
        STOWAGE_IMAGE: 'e',
        STOWAGE_IMAGE_MOUNT: '/e:/e',
        STOWAGE_IMAGE_WORKDIR: '/e',
        STOWAGE_IMAGE_ENV: 'E=1',
        STOWAGE_IMAGE_HOME: 'no',
        STOWAGE_IMAGE_WRITABLE: 'false',
        STOWAGE_IMAGE_ROOT: '1',
        STOWAGE_IMAGE_ENTRYPOINT: 'yes',
        STOWAGE_IMAGE_DEVICE: 'x/y=e',
        STOWAGE_IMAGE_NAME: 'e',
        STOWAGE_IMAGE_SAVE: '/e.tar',
        STOWAGE_IMAGE_UNSHARE: 'ipc',
      };
      const all = [
        ...['image=e', 'mount=/e:/e', 'workdir=/e', 'env=E=1', 'home=no', 'writable=no', 'root=yes'],
        ...['entrypoint=yes', 'device=x/y=e', 'name=e', 'save=/e.tar', 'unshare=ipc'],
      ];

      for (const exported of ['ALL', 'NONE', 'PATH']) {
        it(`hold for srun --export=${exported}`, async () =>
          assert.deepEqual(await steps(`srun --export=${exported} true`, { env }), [all]));

        it(`hold for sbatch --export=${exported}`, async () =>
          assert.deepEqual(await steps(ofBatch(`--export=${exported}`, 'srun true'), { env }), [all]));
      }

      it('hold for salloc', async () =>
        assert.deepEqual(await steps('salloc -Q srun --export=NONE true', { env }), [all]));

      it('count less than options, and add up with them', async () =>
        assert.deepEqual(
          await steps(
            'srun --image=a --image-mount=/a --image-workdir=/a --image-home --image-writable --no-image-root --no-image-entrypoint --image-name=a --image-save=/a.tar --image-unshare=net true',
            { env },
          ),
          [
            [
              ...['image=a', 'mount=/e:/e', 'mount=/a', 'workdir=/a', 'env=E=1', 'home=yes', 'writable=yes'],
              ...['root=no', 'entrypoint=no', 'device=x/y=e', 'name=a', 'save=/a.tar', 'unshare=net'],
            ],
          ],
        ));

      it('count less than what is in #SBATCH', async () =>
        assert.deepEqual(
          await steps(ofBatch('', '#SBATCH --image=a --image-workdir=/a', 'srun true'), {
            env: { STOWAGE_IMAGE: 'e', STOWAGE_IMAGE_WORKDIR: '/e' },
          }),
          [['image=a', 'workdir=/a']],
        ));

      it('that a script sets hold from there on', async () =>
        assert.deepEqual(
          await steps(
            ofBatch(
              '--image=a --image-mount=/job',
              'srun true',
              'export STOWAGE_IMAGE_MOUNT=/later STOWAGE_IMAGE_WORKDIR=/later',
              'srun true',
            ),
          ),
          [
            ['image=a', 'mount=/job'],
            ['image=a', 'mount=/later', 'mount=/job', 'workdir=/later'],
          ],
        ));

      it('mean nothing to a step without an image', async () => {
        const { STOWAGE_IMAGE: _, STOWAGE_IMAGE_NAME: __, ...others } = env;
        assert.equal(await site().output('srun echo on the host', { env: others }), 'on the host\n');
      });

      it('are refused if they are wrong, by name', async () => {
        const bad: [string, string][] = [
          ...['HOME', 'WRITABLE', 'ROOT', 'ENTRYPOINT', 'SHOW_DIGEST', 'BATCH'].map(
            (name): [string, string] => [name, 'maybe'],
          ),
          ['PULL', 'sometimes'],
          ['MOUNT', 'a:/b'],
          ['WORKDIR', ''],
          ['ENV', '1A=x'],
          ['DEVICE', 'gpu'],
          ['NAME', 'a/b'],
          ['SAVE', '/data/app'],
          ['UNSHARE', 'pid'],
        ];
        for (const [name, value] of bad) {
          const { code, stdout, stderr } = await site().run('srun --image=a hostname', {
            env: { [`STOWAGE_IMAGE_${name}`]: value },
          });
          assert.notEqual(code, 0, name);
          assert.equal(stdout, '');
          const option = `--image-${name.toLowerCase().replace('_', '-')}`;
          assert.ok(stderr.includes(`stowage: the variable STOWAGE_IMAGE_${name}: ${option}`), stderr);
        }
      });
    });

    describe('are refused before anything is queued:', () => {
      const bad: [string, RegExp][] = [
        ['--image-mount=data:/data', /--image-mount: "data:\/data": the source "data" must begin with/],
        ['--image-mount=/a:/b:readonly', /there is no flag "readonly"/],
        ['--image-mount=', /--image-mount needs a value/],
        ['--image-workdir=work', /--image-workdir=work: it must be an absolute path/],
        ['--image-env=1A=x', /--image-env: "1A" is no name of a variable/],
        ['--image-env=SLURM_PROCID=0', /SLURM_PROCID is Slurm's/],
        ['--image-device=gpu', /--image-device: "gpu" is no name of a CDI device/],
        ['--image-name=a/b', /--image-name: "a\/b" is no name of a container/],
        ['--image-name=a:run', /--image-name: ":run" is unknown/],
        ['--image-save=/data/app', /--image-save=\/data\/app: the name of the file tells its format/],
        ['--image-unshare=pid', /--image-unshare: "pid" is no namespace/],
        [`--image-env=A=$'x\\ny'`, /--image-env: the value holds control characters/],
        [`--image-workdir=/$(head -c 65536 /dev/zero | tr '\\0' a)`, /--image-workdir: .*longer than/],
      ];
      const refusedBy = async (command: string, sentence: RegExp): Promise<void> => {
        const { code, stdout, stderr } = await site().run(`${inNewDirectory}; ${command}`);
        assert.notEqual(code, 0, command);
        assert.match(stderr, sentence);
        assert.equal(stderr.match(/stowage: /g)?.length, 1, stderr);
        assert.doesNotMatch(`${stdout}${stderr}`, /Submitted|Granted|queued/);
      };

      for (const [option, sentence] of bad) {
        it(option.slice(0, 40), async () => {
          await refusedBy(`srun --image=a ${option} hostname`, sentence);
          await refusedBy(`salloc --image=a ${option} true`, sentence);
          await refusedBy(`sbatch --image=a ${option} --wrap=true`, sentence);
          // The shell has no part in what stands there.
          if (!option.includes('$'))
            await refusedBy(
              `sbatch <<'END'\n${script(`#SBATCH --image=a ${option}`, 'hostname')}\nEND`,
              sentence,
            );
        });
      }

      for (const option of ['--image-mount=/a', '--no-image-home', '--image-pull=never', '--image-batch']) {
        it(`${option} without an image`, () =>
          refusedBy(`srun ${option} hostname`, /is of use with --image only; say which image/));
      }
    });

    describe('of the parts of a heterogeneous job', () => {
      const refusal =
        /stowage: the parts of a heterogeneous job share one image .* their --image\S* differs?; give each/;
      const submitted = (result: { stdout: string; stderr: string }): string => result.stdout + result.stderr;
      const differing: [string, string][] = [
        ['two images of sbatch', 'sbatch -n1 --image=a : -n1 --image=b --wrap=true'],
        ['two images of salloc', 'salloc -n1 --image=a : -n1 --image=b true'],
        ['two images of srun', 'srun -n1 --image=a true : -n1 --image=b true'],
        ['an image of the first part alone', 'srun -n1 --image=a true : -n1 true'],
        ['an image of the last part alone', 'srun -n1 true : -n1 --image=a true'],
        ['two mounts', 'srun -n1 --image=a --image-mount=/a true : -n1 --image=a --image-mount=/b true'],
        [
          'two images in a script',
          `sbatch <<'END'\n${script('#SBATCH -n1 --image=a', '#SBATCH hetjob', '#SBATCH -n1 --image=b', 'true')}\nEND`,
        ],
      ];
      for (const [title, command] of differing) {
        it(`${title} are refused`, async () => {
          const result = await site().run(`${inNewDirectory}; ${command}`);
          assert.notEqual(result.code, 0);
          assert.match(result.stderr, refusal);
          assert.doesNotMatch(submitted(result), /Submitted|Granted|queued/);
        });
      }

      it('are taken if they are the same', async () => {
        const found = await steps(
          'salloc -Q -n1 --image=a --image-mount=/a : -n1 --image=a --image-mount=/a srun --het-group=0,1 true',
        );
        assert.deepEqual(found, [
          ['image=a', 'mount=/a'],
          ['image=a', 'mount=/a'],
        ]);
      });

      it('are not taken for what the command line changes in a script', async () =>
        assert.deepEqual(await steps(ofBatch('--image=b', '#SBATCH --image=a', 'srun true')), [['image=b']]));
    });

    describe('--image-batch', () => {
      for (const exported of ['', '--export=NONE']) {
        it(`runs the script in the image ${exported}`, async () =>
          assert.deepEqual(await steps(ofBatch(`--image=a --image-batch ${exported}`, 'echo on the host')), [
            ['image=a'],
          ]));
      }

      it('in the environment as well, and --no-image-batch counts more', async () => {
        const env = { STOWAGE_IMAGE_BATCH: 'yes' };
        const command = (option: string) =>
          `${inNewDirectory}; ${ofBatch(`--image=a ${option}`, 'echo on the host')}`;
        assert.doesNotMatch((await site().run(command(''), { env })).stdout, /on the host/);
        assert.match((await site().run(command('--no-image-batch'), { env })).stdout, /on the host/);
      });
    });
  },
);
