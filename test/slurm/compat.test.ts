/** Command lines, scripts and variables of pyxis and Shifter: docs/pyxis.md and docs/shifter.md. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, rmSync } from 'node:fs';

import type { RunOptions } from '../cluster/run.js';
import { account } from '../cluster/users.js';
import { batch } from './batch.js';
import { clusterSuite, inNewDirectory, user, type Site } from './cluster-suite.js';
import { libexecOfFake } from './fake-helper.js';

/** Not below /tmp, of which each node has one of its own. */
const shared = `/var/lib/stowage-test/compat-${process.pid}`;

/** What arrived in each step, as the helper got it: "image=a", "mount=/a:/b", … */
const arrived = (output: string): string[][] =>
  output
    .split('\n')
    .filter((line) => line.startsWith('asked for: '))
    .map((line) => line.slice('asked for: '.length).split('|').slice(0, -1));

const script = (...lines: string[]): string => ['#!/bin/bash', ...lines].join('\n');

const steps = async (site: Site, command: string, options?: RunOptions): Promise<string[][]> => {
  const { stdout, stderr } = await site.run(`${inNewDirectory}; ${command}`, options);
  return arrived(`${stdout}${stderr}`);
};

const ofBatch = (options: string, ...lines: string[]): string =>
  `${batch(`${options} --output=out`, script(...lines))}; cat out`;

const refused = async (
  site: Site,
  command: string,
  sentence: RegExp,
  options?: RunOptions,
): Promise<void> => {
  const { code, stdout, stderr } = await site.run(`${inNewDirectory}; ${command}`, options);
  assert.notEqual(code, 0, command);
  assert.match(stderr, sentence);
  assert.doesNotMatch(`${stdout}${stderr}`, /asked for|Submitted|Granted|queued/);
};

clusterSuite(
  'options of pyxis',
  () => Promise.resolve({ plugin: { args: { libexec: libexecOfFake(), compat: 'pyxis,shifter' } } }),
  (site) => {
    const defaults = ['workdir=image', 'home=no'];
    const good: [string, string[]][] = [
      ['--container-mounts=/a:/b:ro+x-create=dir,/c', ['mount=/a:/b:ro,/c:/c', ...defaults]],
      ['--container-workdir=/work', ['workdir=/work', 'home=no']],
      ['--container-name=app:', [...defaults, 'name=app']],
      ['--container-save=/data/app.sqsh', [...defaults, 'save=/data/app.sqsh']],
      ['--container-mount-home', ['workdir=image', 'home=yes']],
      ['--no-container-mount-home', defaults],
      ['--container-remap-root', [...defaults, 'root=yes']],
      ['--no-container-remap-root', [...defaults, 'root=no']],
      ['--container-entrypoint --container-entrypoint-log', [...defaults, 'entrypoint=yes']],
      ['--no-container-entrypoint', [...defaults, 'entrypoint=no']],
      ['--container-writable', [...defaults, 'writable=yes']],
      ['--container-readonly', [...defaults, 'writable=no']],
      ['--container-env=A,B', ['workdir=image', 'env=A,B', 'home=no']],
      ['--container-unshare=net,uts', [...defaults, 'unshare=net,uts']],
      ['--image-home', ['workdir=image', 'home=yes']],
    ];
    for (const [option, wanted] of good) {
      it(`${option} of a command arrives`, async () =>
        assert.deepEqual(
          (await steps(site(), `srun --container-image=nvcr.io#a/b ${option} true`)).map((step) =>
            step.sort(),
          ),
          [['image=nvcr.io#a/b', ...wanted].sort()],
        ));
    }

    for (const exported of ['', '--export=NONE']) {
      it(`hold for the srun commands of a job, and let the script stay outside if it asks ${exported}`, async () => {
        const lines = [
          '#SBATCH --container-image=a --container-mounts=/job --container-mount-home --no-image-batch',
          'srun true',
          'srun --container-image=b --container-mounts=/step --container-readonly true',
        ];
        assert.deepEqual(await steps(site(), ofBatch(exported, ...lines)), [
          ['image=a', 'mount=/job:/job', 'workdir=image', 'home=yes'],
          ['image=b', 'mount=/job:/job', 'mount=/step:/step', 'workdir=image', 'home=yes', 'writable=no'],
        ]);
      });

      it(`run the batch script inside ${exported}`, async () =>
        assert.deepEqual(
          await steps(site(), ofBatch(`--container-image=a ${exported}`, 'echo on the host')),
          [['image=a', ...defaults]],
        ));
    }

    it('leave an image of our own options as it is', async () =>
      assert.deepEqual(await steps(site(), 'srun --image=a true'), [['image=a']]));

    const env = {
      PYXIS_CONTAINER_IMAGE: 'e',
      PYXIS_CONTAINER_MOUNTS: '/e:/e',
      PYXIS_CONTAINER_WORKDIR: '/e',
      PYXIS_CONTAINER_NAME: 'e',
      PYXIS_CONTAINER_MOUNT_HOME: '1',
      PYXIS_CONTAINER_READONLY: '1',
      PYXIS_CONTAINER_ENV: 'E',
    };
    for (const exported of ['ALL', 'NONE']) {
      it(`come from variables with srun --export=${exported}`, async () =>
        assert.deepEqual(await steps(site(), `srun --export=${exported} true`, { env }), [
          ['image=e', 'mount=/e:/e', 'workdir=/e', 'env=E', 'home=yes', 'writable=no', 'name=e'],
        ]));
    }

    it('count more than variables, mounts included', async () =>
      assert.deepEqual(
        await steps(
          site(),
          'srun --container-image=a --container-mounts=/a --container-workdir=/a --no-container-mount-home --container-writable --container-name=a --container-env=A true',
          { env },
        ),
        [['image=a', 'mount=/a:/a', 'workdir=/a', 'env=A', 'home=no', 'writable=yes', 'name=a']],
      ));

    it("take enroot's variables for what nobody says", async () =>
      assert.deepEqual(
        await steps(site(), 'srun --container-image=a --container-writable true', {
          env: { ENROOT_MOUNT_HOME: 'y', ENROOT_REMAP_ROOT: 'yes', ENROOT_ROOTFS_WRITABLE: 'n' },
        }),
        [['image=a', 'workdir=image', 'home=yes', 'writable=yes', 'root=yes']],
      ));

    it('may be given beside our own if both say the same', async () =>
      assert.deepEqual(await steps(site(), 'srun --container-image=a --image=a --no-image-home true'), [
        ['image=a', ...defaults],
      ]));

    const bad: [string, RegExp][] = [
      ['--container-image=', /pyxis: --container-image: argument required/],
      ['--container-image=dockerd://app', /pyxis: --container-image=dockerd:\/\/app: .*docker-archive:FILE/],
      ['--container-image=b@nvcr.io#a', /pyxis: --container-image: a login before '@'/],
      ['--container-image=Bad', /pyxis: --container-image=Bad: 'Bad' cannot be part/],
      ['--container-mounts=:', /pyxis: --container-mounts: invalid format: :/],
      ['--container-mounts=/tmp:', /pyxis: --container-mounts: invalid format: \/tmp:/],
      ['--container-mounts=data:/data', /pyxis: mount source must be a relative path, an absolute path/],
      [
        '--container-mounts=/a:/b:readonly',
        /pyxis: --container-mounts: "\/a:\/b:readonly": there is no flag/,
      ],
      ['--container-workdir=work', /pyxis: --container-workdir=work: it must be an absolute path/],
      ['--container-name=a:run', /pyxis: --container-name: flag must be "auto", "create", "exec"/],
      ['--container-name=/tmp/foo', /pyxis: --container-name: "\/tmp\/foo" is no name/],
      ['--container-save=/data/', /pyxis: --container-save: target is a directory/],
      ['--container-env=A,', /pyxis: --container-env: invalid format/],
      ['--container-unshare=foo', /pyxis: --container-unshare: unknown namespace "foo"/],
      ['--image=b', /--container-image and --image are given and say different things/],
      [
        '--container-mount-home --no-image-home',
        /--container-mount-home and --no-image-home are given and say/,
      ],
    ];
    for (const [option, sentence] of bad) {
      it(`${option} is refused before anything is queued`, async () => {
        await refused(site(), `srun --container-image=a ${option} hostname`, sentence);
        await refused(site(), `sbatch --container-image=a ${option} --wrap=true`, sentence);
      });
    }

    it('are refused without an image', () =>
      refused(
        site(),
        'srun --container-mounts=/a hostname',
        /pyxis: --container-mounts is of use with --container-image or --container-name only/,
      ));

    it('are refused in variables, by name', () =>
      refused(
        site(),
        'srun --container-image=a hostname',
        /the variable PYXIS_CONTAINER_MOUNT_HOME: "maybe" is neither 0 nor 1/,
        { env: { PYXIS_CONTAINER_MOUNT_HOME: 'maybe' } },
      ));

    it('say what pyxis says when a container does not start', async () => {
      const { code, stderr } = await site().run('srun -n2 --container-image=a true');
      assert.notEqual(code, 0);
      assert.equal(stderr.match(/error: pyxis: couldn't start container/g)?.length, 1, stderr);
      assert.doesNotMatch((await site().run('srun --image=a true')).stderr, /pyxis/);
    });

    describe('beside those of Shifter', () => {
      it('arrive, each', async () =>
        assert.deepEqual(
          await steps(
            site(),
            `srun --image=docker:ubuntu:20.04 --volume='/a:/b:ro;/c:/d' --volume=/e:/f --module=mpich,cvmfs --env=A=x,y --env=B=1 --workdir=/w --entrypoint true`,
          ),
          [
            [
              ...['image=docker:ubuntu:20.04', 'mount=/a:/b:ro,/c:/d', 'mount=/e:/f', 'workdir=/w'],
              ...['env=A=x\\,y', 'env=B=1', 'entrypoint=yes'],
              'device=shifter.site/module=mpich,shifter.site/module=cvmfs',
            ],
          ],
        ));

      it('hold for the srun commands of a job, whose script runs outside', async () =>
        assert.deepEqual(
          await steps(
            site(),
            ofBatch(
              '--export=NONE',
              '#SBATCH --image=docker:a:1 --volume=/a:/b --module=none',
              'srun --env=A=1 true',
              'srun --entrypoint true',
            ),
          ),
          [
            ['image=docker:a:1', 'mount=/a:/b', 'env=A=1'],
            ['image=docker:a:1', 'mount=/a:/b', 'entrypoint=yes'],
          ],
        ));

      const wrong: [string, RegExp][] = [
        ['--image=id:0123', /--image=id:0123: this is the number that Shifter's image gateway has/],
        ['--image=a --volume=/a', /--volume: "\/a": two paths are needed/],
        ['--image=a --volume=a:/b', /--volume: "a:\/b": the source "a" must begin with/],
        ['--image=a --volume=/a:/b:perNodeCache=size=1G', /perNodeCache cannot be had/],
        ['--image=a --module=../x', /--module=..\/x: this is no name of a module/],
        ['--image=a --env=A', /--env: a variable is written NAME=VALUE/],
        ['--image=a --workdir=w', /--workdir=w: it must be an absolute path/],
        ['--image=a --entrypoint=/bin/x', /only the image's own entrypoint can be run/],
        ['--volume=/a:/b', /--volume is of use with --image only/],
      ];
      for (const [options, sentence] of wrong)
        it(`${options} is refused`, () => refused(site(), `srun ${options} hostname`, sentence));
    });
  },
);

clusterSuite(
  'settings of pyxis',
  () =>
    Promise.resolve({
      plugin: {
        args: {
          libexec: libexecOfFake(),
          compat: 'pyxis',
          mount_home: '1',
          remap_root: '1',
          sbatch_support: '0',
        },
      },
    }),
  (site) => {
    it('hold where nobody says otherwise', async () =>
      assert.deepEqual(await steps(site(), 'srun --container-image=a true'), [
        ['image=a', 'workdir=image', 'home=yes', 'root=yes'],
      ]));

    it('sbatch_support=0 leaves the options to srun', async () => {
      await refused(
        site(),
        'sbatch --container-image=a --wrap=true',
        /unrecognized option '--container-image=a'/,
      );
      const found = await steps(site(), ofBatch('', 'echo outside', 'srun --container-image=a true'), {
        env: { PYXIS_CONTAINER_NAME: 'n' },
      });
      assert.deepEqual(found, [['image=a', 'workdir=image', 'home=yes', 'root=yes', 'name=n']]);
    });

    it("Shifter's options are not there", () =>
      refused(site(), 'srun --image=a --volume=/a:/b hostname', /unrecognized option '--volume=/));
  },
);

clusterSuite(
  'settings of pyxis that cannot be had',
  { plugin: { args: { compat: 'pyxis', container_scope: 'global' } } },
  (site) => {
    it('are said to whoever gives an option, and to nobody else', async () => {
      await refused(
        site(),
        'srun --container-image=a hostname',
        /'container_scope=global' of pyxis cannot be had/,
      );
      await refused(site(), 'srun --image=a hostname', /'container_scope=global' of pyxis cannot be had/);
      assert.notEqual(await site().output('srun hostname'), '');
    });
  },
);

clusterSuite(
  'ranks as pyxis and Shifter start them',
  { plugin: { args: { compat: 'pyxis,shifter' } } },
  (site) => {
    it('begin where the image says, without the home directory', async () => {
      const { home } = account(user);
      const seen = `pwd; test -e ${home}/.profile || echo no home; grep -c " ${home} " /proc/self/mountinfo || true`;
      assert.equal(
        await site().output(`cd / && srun --container-image=$IMAGE sh -c '${seen}'`),
        '/var/lib\nno home\n0\n',
      );
      assert.match(
        await site().output(`cd / && srun --container-image=$IMAGE --container-mount-home sh -c '${seen}'`),
        /^\/var\/lib\n(no home\n)?1\n$/,
      );
    });

    it('see what is mounted, and only read an image that is read-only', async () => {
      const mounts = '--container-mounts=./in:/x/y:ro,tmpfs:/scratch:size=1M';
      const seen =
        'cat /x/y/file; touch /x/y/new 2>&1; touch /scratch/new && echo scratch; touch /new 2>&1; true';
      assert.equal(
        await site().output(
          `${inNewDirectory}; mkdir in; echo found >in/file; srun --container-image=$IMAGE --container-readonly ${mounts} sh -c '${seen}'`,
        ),
        'found\ntouch: /x/y/new: Read-only file system\nscratch\ntouch: /new: Read-only file system\n',
      );
    });

    it('are root if they are to be, and themselves otherwise', async () => {
      const ask = (option: string) => site().output(`srun --container-image=$IMAGE ${option} id -u`);
      assert.equal(await ask('--container-remap-root'), '0\n');
      assert.equal(await ask(''), `${account(user).uid}\n`);
    });

    it('have no locale of the job, and are told their number where PyTorch is', async () => {
      const env = { LANG: 'xx_YY.UTF-8', LC_ALL: 'xx_YY.UTF-8', PYTORCH_VERSION: '2.0' };
      const print = `sh -c 'echo [$LANG] [$LC_ALL] [$RANK] [$LOCAL_RANK]'`;
      assert.equal(
        await site().output(`srun -n1 --container-image=$IMAGE --container-env=LC_ALL ${print}`, { env }),
        '[] [xx_YY.UTF-8] [0] [0]\n',
      );
      assert.equal(
        await site().output(`srun -n1 --image=$IMAGE ${print}`, { env }),
        '[xx_YY.UTF-8] [xx_YY.UTF-8] [] []\n',
      );
    });

    it('run the batch script in the image', async () => {
      const job = script(`#SBATCH --container-image=${site().image}`, 'cat /etc/os-release; pwd').replace(
        'bash',
        'sh',
      );
      assert.match(
        await site().output(`${inNewDirectory}; ${batch('--output=out', job)}; cat out`),
        /Stowage test image[^]*\/var\/lib\n$/,
      );
    });

    it('take images from files that begin with a dot', async () => {
      const command = `${inNewDirectory}; skopeo --insecure-policy copy -q --src-tls-verify=false docker://$IMAGE oci:.layout:1; srun --container-image=.layout cat /etc/os-release`;
      assert.match(await site().output(command), /Stowage test image/);
    });

    it('are saved once, and not again by the srun commands in them', async () => {
      const env = { PYXIS_CONTAINER_SAVE: './saved.sqsh' };
      const command = `${inNewDirectory}; srun --container-image=$IMAGE sh -c 'echo kept >/kept; env | grep SAVE'; unset PYXIS_CONTAINER_SAVE; srun --container-image=./saved.sqsh cat /kept`;
      const { stdout } = await site().run(command, { env });
      assert.equal(stdout, 'kept\n');
    });

    it('get the volumes and variables of Shifter', async () => {
      const command = `${inNewDirectory}; mkdir in; echo found >in/file; srun --image=docker:$IMAGE --volume="$dir/in:/data:ro" --env=A=x,y --workdir=/data sh -c 'pwd; cat file; echo $A; touch new 2>&1; true'`;
      assert.equal(await site().output(command), '/data\nfound\nx,y\ntouch: new: Read-only file system\n');
    });
  },
);

clusterSuite(
  'the command shifter',
  () => {
    mkdirSync(shared, { recursive: true });
    copyFileSync('build/libexec/shifter-inside', `${shared}/shifter`);
    chmodSync(`${shared}/shifter`, 0o755);
    return Promise.resolve({
      plugin: { args: { compat: 'shifter' } },
      stowageToml: { mounts: [{ source: `${shared}/shifter`, target: '/bin/shifter', read_only: true }] },
    });
  },
  (site) => {
    after(() => rmSync(shared, { recursive: true, force: true }));

    const shifter = (): string => `${site().cluster.layout.prefix}/libexec/stowage/shifter`;

    it('behind srun runs the program in the image, once for each rank', async () => {
      const job = script(
        `#SBATCH -N2 -n4 --image=docker:${site().image}`,
        "srun shifter --env=A=1 --workdir=/etc sh -c 'echo $A $(pwd) $(cat os-release | grep -c Stowage)'",
      );
      assert.equal(
        await site().output(`${inNewDirectory}; ${batch('--output=out', job)}; cat out`),
        '1 /etc 1\n'.repeat(4),
      );
    });

    it('hands on the arguments and the exit code of the program', async () => {
      const { code, stdout } = await site().run(
        `srun --image=$IMAGE shifter sh -c 'printf "[%s]" "$@"; exit 7' --image "a b" ''`,
      );
      assert.equal(stdout, '[a b][]');
      assert.equal(code, 7);
    });

    it('behind srun refuses what comes too late', async () => {
      for (const option of ['--image=docker:b', '--volume=/a:/b', '--module=x', '--entrypoint']) {
        const { code, stderr } = await site().run(`srun --image=$IMAGE shifter ${option} hostname`);
        assert.notEqual(code, 0);
        assert.match(stderr, /shifter: --\w+ is for what has made this container; give it to srun/);
      }
    });

    it('behind srun says which program the image does not have', async () => {
      const { code, stderr } = await site().run('srun --image=$IMAGE shifter nope');
      assert.equal(code, 127);
      assert.match(stderr, /shifter: nope: No such file or directory/);
    });

    it('in a script outside of srun makes a step of the program', async () => {
      const job = script(
        `#SBATCH --image=docker:${site().image}`,
        'echo outside',
        `${shifter()} --env="A=it's" -V $PWD:/here sh -c 'printf "%s|" "$A" "$SLURM_NTASKS" "$@"; cat /here/file' x 'a  b' '$HOME'`,
      );
      assert.equal(
        await site().output(
          `${inNewDirectory}; echo found >file; ${batch('-n2 --output=out', job)}; cat out`,
        ),
        "outside\nit's|1|a  b|$HOME|found\n",
      );
    });

    it('takes the image and volumes of the variables of Shifter', async () => {
      const env = { SHIFTER: `docker:${site().image}`, SHIFTER_VOLUME: '/etc/hostname:/name:ro' };
      const command = `salloc -Q ${shifter()} sh -c 'cat /name >/dev/null && grep -c Stowage /etc/os-release'`;
      assert.equal(await site().output(command, { env }), '1\n');
    });

    const wrong: [string, () => string, RegExp][] = [
      ['outside of a job', () => `${shifter()} hostname`, /there is no job; start one/],
      ['without an image', () => `salloc -Q ${shifter()} hostname`, /no image is named/],
      ['with an unknown option', () => `salloc -Q ${shifter()} --clearenv hostname`, /--clearenv is unknown/],
      [
        'in the ranks of a step on the host',
        () => `srun ${shifter()} --image=docker:a hostname`,
        /srun has started this on the host; say which image to srun: srun '--image=docker:a' shifter hostname/,
      ],
    ];
    for (const [title, command, sentence] of wrong) {
      it(`is refused ${title}`, async () => {
        const { code, stdout, stderr } = await site().run(command());
        assert.notEqual(code, 0);
        assert.match(stderr, sentence);
        assert.equal(stdout, '');
      });
    }
  },
);
