import assert from 'node:assert/strict';
import fs from 'node:fs';

import { eachInEnterSandbox, image as registryImage } from '../support/enter-sandbox.js';
import { listenGrpc, welcome } from '../support/fake-daemon.js';
import { digestOf } from '../unpack/sandbox.js';

const digest = digestOf(Buffer.from('an image'));

describe('stowage-enter, with the environment that a root file system carries', () => {
  const sandbox = eachInEnterSandbox();
  const environment = { JOB: 'of the job', SLURM_JOB_ID: '7', LD_LIBRARY_PATH: '/host/lib' };
  const plan = {
    imageDigest: '',
    workingDirectory: '/',
    unsetEnvironment: ['LD_LIBRARY_PATH'],
    environment: [
      { name: 'PATH', value: '/bin' },
      { name: 'STOWAGE_IMAGE', value: 'x' },
    ],
  };
  const ofThePlan = ['-LD_LIBRARY_PATH', '=PATH=/bin', '=STOWAGE_IMAGE=x'];

  beforeEach(() =>
    sandbox().serve(
      listenGrpc(sandbox().socket, (call) => {
        call.write(welcome);
        const { local } = call.request;
        call.write({
          plan: {
            ...plan,
            imageDigest: local ? (local.digest ?? '') : (call.request.unpackedDigests[0] ?? ''),
          },
        });
        call.end();
      }),
    ),
  );

  /** A root file system with busybox as its shell, and these files. */
  const rootfs = (files: Record<string, string>, { shell = true } = {}): string => {
    const directory = `${sandbox().directory}/rootfs`;
    fs.mkdirSync(`${directory}/bin`, { recursive: true });
    if (shell) {
      fs.copyFileSync('/bin/busybox', `${directory}/bin/busybox`);
      for (const applet of ['sh', 'sleep']) fs.symlinkSync('busybox', `${directory}/bin/${applet}`);
    }
    for (const [name, content] of Object.entries(files)) {
      fs.mkdirSync(`${directory}/${name}/..`.replace(/[^/]*\/\.\.$/, ''), { recursive: true });
      fs.writeFileSync(`${directory}/${name}`, content);
    }
    sandbox().giveToUser(directory);
    return directory;
  };

  /** The environment with this root, and what the user was told. */
  const enter = async (image: string) => {
    const { stderr, reply, status } = await sandbox().enter({ image, environment });
    assert.equal(status, 0, reply);
    const records = reply.split('\0').slice(4, -1);
    return { records, said: stderr };
  };

  it('runs the scripts of Apptainer, in order, with the environment of the job', async () => {
    const image = rootfs({
      '.singularity.d/env/10-image.sh': [
        'export A="from the first"',
        'export B="$JOB and ${NOT_SET:-a default}"',
        'unset JOB',
        'export LD_LIBRARY_PATH=/.singularity.d/libs',
        'export PATH="/opt/app/bin:$PATH"',
        'export SLURM_JOB_ID=8 PMIX_RANK=0 STOWAGE_IMAGE=y',
        'NOT_EXPORTED=1',
        'echo a word; echo another >&2',
      ].join('\n'),
      '.singularity.d/env/90-environment.sh':
        'export A="$A, then from the second"\nexport LINES_OF="two\nlines"\n',
      '.singularity.d/env/README': 'export README=1',
    });
    const { records, said } = await enter(image);
    assert.deepEqual(records.toSorted(), [
      '-JOB',
      '-LD_LIBRARY_PATH',
      '=A=from the first, then from the second',
      '=B=of the job and a default',
      '=LD_LIBRARY_PATH=/.singularity.d/libs',
      '=LINES_OF=two\nlines',
      '=PATH=/opt/app/bin:/bin',
      '=STOWAGE_IMAGE=x',
    ]);
    assert.equal(said, '');
  });

  it('gives the scripts no descriptor but the standard ones and its own', async () => {
    const image = rootfs({
      '.singularity.d/env/1.sh':
        'FDS=; for fd in 0 1 2 3 4 5 6 7 8 9; do if ( : <&$fd ); then FDS="$FDS$fd"; fi; done; export FDS\nif read -r line; then export READ=1; fi',
    });
    const { records } = await enter(image);
    assert.ok(records.includes('=FDS=0123'), records.join(' '));
    assert.ok(!records.includes('=READ=1'));
  });

  for (const [what, script] of [
    ['fails', 'exit 3'],
    ['cannot be parsed', 'if then fi ('],
  ] as const) {
    it(`does without scripts of which one ${what}`, async () => {
      const { records, said } = await enter(rootfs({ '.singularity.d/env/1.sh': script }));
      assert.deepEqual(records, ofThePlan);
      assert.match(
        said,
        /^stowage: node1: .*: the image's environment in \/\.singularity\.d\/env is left out: its scripts failed, or it has no \/bin\/sh\n$/,
      );
    });
  }

  it('does without scripts where there is no shell', async () => {
    const { records, said } = await enter(
      rootfs({ '.singularity.d/env/1.sh': 'export A=1' }, { shell: false }),
    );
    assert.deepEqual(records, ofThePlan);
    assert.match(said, /is left out: its scripts failed, or it has no \/bin\/sh\n$/);
  });

  it('does without scripts that do not end, and ends what they started', async function () {
    this.timeout(30_000);
    this.slow(25_000);
    const mark = `3${process.pid}`;
    const image = rootfs({ '.singularity.d/env/1.sh': `sleep ${mark} & sleep ${mark}` });
    const { records, said } = await enter(image);
    assert.deepEqual(records, ofThePlan);
    assert.match(said, /is left out: its scripts have not ended after 10 seconds\n$/);
    const running = fs
      .readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid))
      .map((pid) => {
        try {
          return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        } catch {
          return '';
        }
      });
    assert.deepEqual(
      running.filter((line) => line === `sleep\0${mark}\0`),
      [],
    );
  });

  it('does without more than a megabyte', async () => {
    const image = rootfs({
      '.singularity.d/env/1.sh':
        'x=0123456789abcdef; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do x=$x$x; done; i=0; while [ $i -lt 20 ]; do export A$i=$x; i=$((i+1)); done',
    });
    const { records, said } = await enter(image);
    assert.deepEqual(records, ofThePlan);
    assert.match(said, /is left out: it is larger than 1048576 bytes\n$/);
  });

  it('hears nothing of what scripts print, however much', async () => {
    const image = rootfs({
      '.singularity.d/env/1.sh':
        'x=0123456789abcdef; for i in 1 2 3 4 5 6 7 8 9 10; do x=$x$x; done\n' +
        'i=0; while [ $i -lt 5000 ]; do echo "$x"; echo "$x" >&2; i=$((i+1)); done\nexport A=1',
    });
    const { records, said } = await enter(image);
    assert.ok(records.includes('=A=1'));
    assert.equal(said, '');
  });

  it('does not wait for scripts that talk on its own descriptor without end', async () => {
    const image = rootfs({ '.singularity.d/env/1.sh': 'while :; do echo x >&3; done' });
    assert.deepEqual((await enter(image)).records, ofThePlan);
  });

  it('reads what Charliecloud keeps, and quotes', async () => {
    const image = rootfs({
      'ch/environment':
        "A=1\nB='two words'\nC='\nD=''x''\n# no variable\n2E=1\nno value\nSLURM_JOB_ID=8\nPATH=/ch\nF=a=b",
    });
    const { records, said } = await enter(image);
    assert.deepEqual(records, [
      '-LD_LIBRARY_PATH',
      '=PATH=/ch',
      '=STOWAGE_IMAGE=x',
      '=A=1',
      '=B=two words',
      "=C='",
      "=D='x'",
      '=F=a=b',
    ]);
    assert.equal(said, '');
  });

  it('does without a file of so many variables that to compare them would take minutes', async () => {
    const lines = Array.from({ length: 150_000 }, (_, i) => `A${i.toString(36)}=`);
    const { records, said } = await enter(rootfs({ 'ch/environment': lines.join('\n') }));
    assert.deepEqual(records, ofThePlan);
    assert.match(said, /in \/ch\/environment is left out: it sets more than 4096 variables\n$/);
  });

  it('does without scripts of so many variables', async () => {
    const script =
      'for a in 0 1 2 3 4 5 6 7; do for b in 0 1 2 3 4 5 6 7 8 9; do for c in 0 1 2 3 4 5 6 7 8 9; do\n' +
      'export A$a$b$c=1 B$a$b$c=1 C$a$b$c=1 D$a$b$c=1 E$a$b$c=1 F$a$b$c=1; done; done; done';
    const { records, said } = await enter(rootfs({ '.singularity.d/env/1.sh': script }));
    assert.deepEqual(records, ofThePlan);
    assert.match(said, /is left out: it sets more than 4096 variables\n$/);
  });

  it('does without a file with a variable that no program could start with', async () => {
    const { records, said } = await enter(
      rootfs({ 'ch/environment': `A=1\nLONG=${'x'.repeat(128 * 1024 - 5)}` }),
    );
    assert.deepEqual(records, ofThePlan);
    assert.match(said, /is left out: LONG is longer than 131072 bytes\n$/);
  });

  it('leaves out a file that is none', async () => {
    const image = rootfs({ 'ch/x': '' });
    fs.mkdirSync(`${image}/ch/environment`);
    assert.deepEqual((await enter(image)).records, ofThePlan);
  });

  it('does not read a file of the host', async () => {
    const image = rootfs({ 'ch/x': '' });
    fs.writeFileSync(`${sandbox().directory}/environment`, 'A=of the host');
    fs.symlinkSync(`${sandbox().directory}/environment`, `${image}/ch/environment`);
    assert.deepEqual((await enter(image)).records, ofThePlan);
  });

  describe('in a squashfs file', () => {
    const unpacker = (kind: string, ...files: string[]): string =>
      [
        `if test "$1" = --identify; then printf 'kind=${kind}\\0digest=${digest}\\0size=7\\0'; exit; fi`,
        'mkdir -p $root/etc $root/bin',
        `printf 'A=1\\nB="quotes stay"\\n' >$root/etc/environment`,
        ...files.map((name) => `: >$root/${name}`),
      ].join('\n');
    const squashfs = (): string => {
      fs.writeFileSync(`${sandbox().directory}/x`, 'content');
      return `${sandbox().directory}/x`;
    };

    it("reads enroot's", async () => {
      sandbox().replaceUnpacker(unpacker('squashfs', 'etc/rc'));
      const { records } = await enter(squashfs());
      assert.deepEqual(records, [...ofThePlan, '=A=1', '=B="quotes stay"']);
    });

    it('leaves one alone that is not of enroot', async () => {
      sandbox().replaceUnpacker(unpacker('squashfs'));
      assert.deepEqual((await enter(squashfs())).records, ofThePlan);
    });

    it('leaves that of another kind of file alone', async () => {
      sandbox().replaceUnpacker(unpacker('tar', 'etc/rc'));
      assert.deepEqual((await enter(squashfs())).records, ofThePlan);
    });
  });

  it('leaves images alone that have a configuration', async () => {
    sandbox().makeTree((root) => {
      fs.mkdirSync(`${root}/ch`);
      fs.writeFileSync(`${root}/ch/environment`, 'A=1');
    });
    assert.deepEqual((await enter(registryImage)).records, ofThePlan);
  });
});
