/**
 * Options as ranks see them, whichever way they were given. What arrives of them on a node is in options.test.ts, mounts
 * are in mounts.test.ts.
 */
import assert from 'node:assert/strict';

import type { RunOptions } from '../cluster/run.js';
import { account } from '../cluster/users.js';
import { busyboxImageWith } from '../support/busybox-image.js';
import { batch } from './batch.js';
import { clusterSuite, inNewDirectory, user } from './cluster-suite.js';
import { reporting, reportIn } from './rank-report.js';
import { refusal, sentencesIn } from './sentences.js';

const withEntrypoint = async (root: string): Promise<void> => {
  const { writeFileSync } = await import('node:fs');
  const text = '#!/bin/sh\necho entered >>/entered\nexport LEFT=behind\nexec "$@"\n';
  writeFileSync(`${root}/entry`, text, { mode: 0o755 });
};

clusterSuite('options of a container', { nodes: 1 }, (site) => {
  const { home, uid } = account(user);
  const inside = (options: string, command: string, more?: RunOptions): Promise<string> =>
    site().output(`srun -n1 --image=$IMAGE ${options} sh -c '${command}'`, more);
  const refuses = async (options: string, ...parts: (string | RegExp)[]): Promise<string> =>
    refusal(await site().run(`srun -n1 --image=$IMAGE ${options} echo ran`), ...parts);

  describe('are the same for ranks', () => {
    const wishes = {
      mount: '/usr/share/zoneinfo:/in:ro',
      workdir: '/in',
      env: 'ASKED=a\\,b',
      home: 'no',
      writable: 'no',
      root: 'yes',
      unshare: 'net,uts',
      pull: 'always',
      show_digest: 'yes',
    };
    const options = [
      ...['--image-mount=/usr/share/zoneinfo:/in:ro', '--image-workdir=/in', '--image-env=ASKED=a\\\\,b'],
      ...['--no-image-home', '--image-readonly', '--image-root', '--image-unshare=net,uts'],
      ...['--image-pull=always', '--image-show-digest'],
    ];
    const commands = {
      mount: 'touch /in/x; test -f /in/UTC && echo there',
      workdir: 'pwd',
      env: 'echo "$ASKED"',
      home: `grep -q " ${home} " /proc/self/mountinfo || echo "none but $HOME"`,
      writable: 'touch /x',
      root: 'id -u',
      network: 'ls /sys/class/net',
    };
    const expected = {
      mount: 'touch: /in/x: Read-only file system\nthere',
      workdir: '/in',
      env: 'a,b',
      home: 'none but /root',
      writable: 'touch: /x: Read-only file system',
      root: '0',
      network: 'lo',
    };
    const job = (...lines: string[]): string =>
      ['#!/bin/sh', ...lines, `srun sh -c '${reporting(commands)}'`].join('\n');
    const check = async (command: string, env: Record<string, string> = {}): Promise<void> => {
      const { code, stdout, stderr } = await site().run(`${inNewDirectory}; ${command}`, { env });
      assert.equal(code, 0, stderr);
      assert.deepEqual(Object.fromEntries(reportIn(stdout)), expected);
      assert.match(`${stdout}${stderr}`, /is sha256:[0-9a-f]{64}\n/);
    };

    it('on the command line', () =>
      check(`srun --image=$IMAGE ${options.join(' ')} sh -c '${reporting(commands)}'`));

    it('in #SBATCH', () => {
      const lines = options.map((option) => `#SBATCH ${option}`);
      return check(
        `${batch('--output=out --error=err', job(`#SBATCH --image=${site().image}`, ...lines))}; cat out; cat err >&2`,
      );
    });

    it('in the environment', () => {
      const variables = Object.entries(wishes).map(([name, value]) => [
        `STOWAGE_IMAGE_${name.toUpperCase()}`,
        value,
      ]);
      return check(`srun sh -c '${reporting(commands)}'`, {
        STOWAGE_IMAGE: site().image,
        ...(Object.fromEntries(variables) as Record<string, string>),
      });
    });

    it('and not had by those who did not ask', async () => {
      const report = reportIn(await inside('', reporting(commands)));
      for (const [name, seen] of report) assert.notEqual(seen, expected[name as keyof typeof expected], name);
      assert.equal(report.get('root'), String(uid));
      assert.equal(report.get('home'), '');
      assert.equal(report.get('writable'), '');
    });
  });

  describe('--image-workdir', () => {
    it('is where ranks start, in the image or of the host', async () => {
      assert.equal(await inside('--image-workdir=/etc', 'pwd; echo $PWD'), '/etc\n/etc\n');
      assert.equal(await inside('--image-workdir=/tmp --chdir=/', 'pwd'), '/tmp\n');
      assert.equal(await inside('--image-workdir=image', 'pwd'), '/var/lib\n');
    });

    it('is made if it is missing, and stays in the image', async () => {
      assert.equal(await inside('--image-workdir=/new/one', 'pwd; touch file && ls'), '/new/one\nfile\n');
      assert.equal(await inside('--image-workdir=/var/../../../../elsewhere', 'pwd'), '/elsewhere\n');
    });

    it('is refused where it is a file, or missing in an image that nobody writes to', async () => {
      await refuses('--image-workdir=/etc/motd', 'ranks cannot start in /etc/motd: ', 'Not a directory');
      await refuses(
        '--image-workdir=/new --image-readonly',
        '/new',
        'the image has no such directory and is',
      );
    });
  });

  describe('--image-env', () => {
    it('sets variables of any value, over those of image and job', async () => {
      const printed = await inside(`--image-env='A=1\\,2\\\\ =3,FROM_IMAGE=mine,MINE='`, 'env', {
        env: { MINE: 'of the job' },
      });
      assert.match(printed, /^A=1,2\\ =3$/m);
      assert.match(printed, /^FROM_IMAGE=mine$/m);
      assert.match(printed, /^MINE=$/m);
    });

    it("takes the job's value where a name stands alone, and the image's where the job has none", async () => {
      const echo = 'echo $FROM_IMAGE $LD_LIBRARY_PATH';
      const env = { FROM_IMAGE: 'job', LD_LIBRARY_PATH: '/of/the/job' };
      assert.equal(await inside('', echo, { env }), 'yes\n');
      assert.equal(
        await inside('--image-env=FROM_IMAGE,LD_LIBRARY_PATH', echo, { env }),
        'job /of/the/job\n',
      );
      assert.equal(await inside('--image-env=FROM_IMAGE', echo), 'yes\n');
    });

    it('lets the later of two values win', async () =>
      assert.equal(await inside('--image-env=A=1,B=1 --image-env=A=2', 'echo $A $B'), '2 1\n'));
  });

  describe('--image-home', () => {
    it('shows the home directory, unless it is not wanted', async () => {
      const look = `echo $HOME; ls -d ${home} 2>&1 || true`;
      assert.equal(await inside('--image-home', look), `${home}\n${home}\n`);
      assert.equal(
        await inside('--no-image-home', look, { cwd: '/tmp' }),
        `/\nls: ${home}: No such file or directory\n`,
      );
    });

    it('of an image that has a HOME of its own is that', async () =>
      assert.equal(await inside('--no-image-home --image-env=HOME=/tmp', 'echo $HOME'), '/tmp\n'));

    it('shows a directory below it from which the job was submitted, and no more', async () => {
      const printed = await site().output(
        `${inNewDirectory}; mkdir work; touch beside; cd work; srun --no-image-home --image=$IMAGE sh -c 'touch file && ls -A .. ${home} | sort -u'; ls`,
      );
      assert.doesNotMatch(printed, /beside|\.profile|\.bash/);
      assert.match(printed, /\nfile\n$/);
    });

    it('says where ranks start if they cannot start there', async () => {
      const { stdout, stderr } = await site().run('srun --no-image-home --image=$IMAGE pwd');
      assert.equal(stdout, '/var/lib\n');
      assert.match(stderr, new RegExp(`${home} of the host is not shown in the image; ranks start in`));
    });
  });

  describe('--image-readonly', () => {
    it('leaves nothing of the image to be changed, and everything that is mounted', async () => {
      const printed = await site().output(
        `${inNewDirectory}; srun --image-readonly --image=$IMAGE --image-mount=tmpfs:/scratch sh -c 'for at in / /etc /bin /scratch /tmp .; do touch $at/$$ 2>/dev/null && echo $at && rm $at/$$; done'`,
      );
      assert.equal(printed, '/scratch\n/tmp\n.\n');
    });

    it('gives way to a later --image-writable', async () =>
      assert.equal(await inside('--image-readonly --image-writable', 'touch /new && echo new'), 'new\n'));
  });

  describe('--image-unshare', () => {
    it('gives all ranks of a step on a node the same namespaces, which are not the host’s', async () => {
      const links = 'for name in net ipc uts; do readlink /proc/self/ns/$name; done';
      const printed = await site().output(
        `srun -n4 --image=$IMAGE --image-unshare=net,ipc,uts sh -c 'echo $(${links})'; srun echo; srun sh -c 'echo $(${links})'`,
      );
      const [ranks = '', host = ''] = printed.split('\n\n');
      const seen = ranks.split('\n');
      assert.deepEqual([seen.length, new Set(seen).size], [4, 1], printed);
      for (const namespace of host.trim().split(' ')) assert.ok(!ranks.includes(namespace), printed);
    });

    it('unshares what was named, and nothing else', async () => {
      const printed = await inside(
        '--image-unshare=ipc',
        'ls /dev/shm | wc -l; readlink /proc/self/ns/uts; cat /proc/net/dev | wc -l',
      );
      const host = await site().output(
        "srun sh -c 'echo 0; readlink /proc/self/ns/uts; cat /proc/net/dev | wc -l'",
      );
      assert.equal(printed, host);
    });

    it('gives a host name that root in the image can change', async () => {
      const change = '--image-unshare=uts --image-root';
      assert.equal(await inside(change, 'hostname other && hostname'), 'other\n');
      assert.notEqual(await site().output('srun hostname'), 'other\n');
    });

    it('shows a network that is loopback and nothing else', async () => {
      const printed = await inside(
        '--image-unshare=net',
        'tail -n +3 /proc/net/dev | cut -d: -f1; ls /sys/class/net; ip link show lo | grep -o LOOPBACK,UP',
      );
      assert.match(printed, /^ *lo\nlo\nLOOPBACK,UP\n$/);
    });
  });

  describe('--image-pull and --image-show-digest of the environment', () => {
    it('ask nobody, and say what runs', async () => {
      const never = { STOWAGE_IMAGE_PULL: 'never' };
      const unused = `${site().cluster.registryHost}/never/used`;
      refusal(await site().run(`srun --image=${unused} echo ran`, { env: never }), unused, 'never');
      const { stderr } = await site().run('srun --image=$IMAGE true', {
        env: { STOWAGE_IMAGE_SHOW_DIGEST: '1' },
      });
      assert.match(sentencesIn(stderr).join('\n'), /is sha256:[0-9a-f]{64}$/);
    });
  });

  describe('--image-entrypoint', () => {
    const srun = `srun -n2 --image=$ENTERED`;
    const look = `sh -c 'echo $(cat /entered 2>/dev/null) $LEFT'`;
    const ran = 'entered behind\n'.repeat(2);
    let env: Record<string, string> = {};

    before(async () => {
      const image = await busyboxImageWith('entered', withEntrypoint, ['--config.entrypoint=/entry']);
      env = { ENTERED: await site().push(image) };
    });

    it('runs it once before the ranks of a step, which find what it left', async () =>
      assert.equal(await site().output(`${srun} --image-entrypoint ${look}`, { env }), ran));

    it('runs it if #SBATCH or the environment say so', async () => {
      const lines = ['#!/bin/sh', `#SBATCH -n2 --image=${env.ENTERED} --image-entrypoint`, `srun ${look}`];
      const submit = batch('--output=out', lines.join('\n'));
      assert.equal(await site().output(`${inNewDirectory}; ${submit}; cat out`, { env }), ran);
      const asked = { ...env, STOWAGE_IMAGE_ENTRYPOINT: 'yes' };
      assert.equal(await site().output(`${srun} ${look}`, { env: asked }), ran);
    });

    it('does not run it unless asked, or if asked not to', async () => {
      const asked = { ...env, STOWAGE_IMAGE_ENTRYPOINT: 'yes' };
      assert.equal(await site().output(`${srun} ${look}`, { env }), '\n\n');
      assert.equal(await site().output(`${srun} --no-image-entrypoint ${look}`, { env: asked }), '\n\n');
    });
  });

  describe('--image-name and --image-save', () => {
    const steps = "srun sh -c 'echo kept >/kept'; srun cat /kept";

    it('of #SBATCH and the environment keep a container for the next step', async () => {
      const script = `#!/bin/sh\n#SBATCH --image=${site().image} --image-name=app\n${steps}`;
      assert.equal(
        await site().output(`${inNewDirectory}; ${batch('--output=out', script)}; cat out`),
        'kept\n',
      );
      const env = { STOWAGE_IMAGE: site().image, STOWAGE_IMAGE_NAME: 'app' };
      assert.equal(await site().output(`salloc -Q sh -c "${steps}"`, { env }), 'kept\n');
    });

    it('of #SBATCH and the environment keep a container in a file', async () => {
      const script = `#!/bin/sh\n#SBATCH --image=${site().image} --image-save=./a.sqsh --output=out\nsrun touch /from-script`;
      const printed = await site().output(
        `${inNewDirectory}; ${batch('', script)}; STOWAGE_IMAGE_SAVE=./b.tar srun --image=./a.sqsh touch /from-variable; srun --image=./b.tar sh -c 'ls -d /from-*'`,
      );
      assert.equal(printed, '/from-script\n/from-variable\n');
    });
  });

  describe('--image-batch', () => {
    const look = 'sed -n "s/^PRETTY_NAME=//p" /etc/os-release; test -f /in/UTC && echo mounted';
    const printedBy = (args: string, lines: readonly string[], env = {}): Promise<string> =>
      site().output(
        `${inNewDirectory}; ${batch(`--output=out ${args}`, ['#!/bin/sh', ...lines, look, 'true'].join('\n'))}; cat out`,
        { env },
      );
    const mount = '#SBATCH --image-mount=/usr/share/zoneinfo:/in';
    const inImage = '"Stowage test image"\nmounted\n';

    it('runs the script in the image, with all that was asked for', async () => {
      assert.equal(await printedBy('--image=$IMAGE --image-batch', [mount]), inImage);
      const lines = [`#SBATCH --image=${site().image}`, '#SBATCH --image-batch', mount];
      assert.equal(await printedBy('--export=NONE', lines), inImage);
      const env = { STOWAGE_IMAGE_BATCH: 'true', STOWAGE_IMAGE: site().image };
      assert.equal(await printedBy('', [mount], env), inImage);
    });

    it('is undone by --no-image-batch', async () =>
      assert.match(
        await printedBy('--image=$IMAGE --no-image-batch', ['#SBATCH --image-batch', mount]),
        /^"Debian/,
      ));

    it('runs nothing where the image cannot be had', async () => {
      const script = ['#!/bin/sh', `#SBATCH --image=${site().cluster.registryHost}/no/such`, 'echo ran'];
      const submit = batch('--output=out --image-batch', script.join('\n'));
      const { stdout } = await site().run(`${inNewDirectory}; ${submit}; cat out`);
      assert.match(stdout, /stowage: .*no\/such/);
      assert.doesNotMatch(stdout, /^ran$/m);
    });
  });
});
