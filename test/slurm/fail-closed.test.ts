import assert from 'node:assert/strict';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  chmodSync,
} from 'node:fs';

import type { RunResult } from '../cluster/run.js';
import { slurm } from '../cluster/slurm-release.js';
import { busyboxImage } from '../support/busybox-image.js';
import { account } from '../cluster/users.js';
import { batch } from './batch.js';
import { clusterSuite, inNewDirectory, user, type Site } from './cluster-suite.js';

/** Lines of Stowage among what the user saw. */
const sentences = (stderr: string): string[] =>
  stderr.split('\n').filter((line) => line.includes('stowage: '));

/** The program leaves a mark wherever it runs; the home directory is the same inside and outside. */
class Mark {
  readonly #directory = mkdtempSync(`${account(user).home}/mark-`);
  constructor() {
    chmodSync(this.#directory, 0o777);
  }
  readonly file = `${this.#directory}/ran`;
  check(): void {
    const ran = existsSync(this.file);
    rmSync(this.#directory, { recursive: true });
    assert(!ran, 'the program ran although its image could not be had');
  }
}

const refused = async (run: (mark: string) => Promise<RunResult>, sentence: RegExp): Promise<RunResult> => {
  const mark = new Mark();
  let result;
  try {
    result = await run(mark.file);
  } finally {
    mark.check();
  }
  assert.notEqual(result.code, 0, result.stderr);
  assert.equal(sentences(result.stderr).length, 1, result.stderr);
  assert.match(sentences(result.stderr)[0] ?? '', sentence);
  return result;
};

/** Where docker-registry keeps the bytes of its largest blob. */
const largestBlob = (directory: string): string => {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('/data'))
    .map((name) => `${directory}/${name}`);
  return files.reduce((largest, file) => (statSync(file).size > statSync(largest).size ? file : largest));
};

const trapsFor = (site: () => Site): void => {
  it('stowaged stopped', async () => {
    await site().cluster.daemon.stop();
    try {
      await refused(
        (mark) => site().run(`srun --image=$IMAGE touch ${mark}`),
        /n[12]: stowaged does not run here \(.*api\.sock: .*\); the administrators of this node must start it/,
      );
    } finally {
      await site().cluster.daemon.start();
    }
  });

  it('unknown repository', async () => {
    await refused(
      (mark) => site().run(`srun --image=$REGISTRY/no/such:1 touch ${mark}`),
      /n[12]: .*localhost:\d+\/no\/such:1.*not found.*localhost:\d+/,
    );
  });

  it('unknown tag', async () => {
    await refused(
      (mark) => site().run(`srun --image=\${IMAGE%:*}:nosuch touch ${mark}`),
      /busybox:nosuch.*not found/,
    );
  });

  it('registry down', async () => {
    await site().cluster.registry.stop();
    try {
      await refused(
        (mark) => site().run(`srun --image=$REGISTRY/never/seen:1 touch ${mark}`),
        /registry localhost:\d+ cannot be reached/,
      );
    } finally {
      await site().cluster.registry.start();
    }
  });

  const programs = ['stowage-enter', 'stowage-unpack', ...(slurm.entersAtExec ? ['stowage-exec'] : [])];
  for (const program of programs) {
    it(`${program} missing`, async () => {
      const path = `${site().cluster.layout.prefix}/libexec/stowage/${program}`;
      renameSync(path, `${path}.away`);
      try {
        await refused(
          (mark) => site().run(`srun --image=$IMAGE touch ${mark}`),
          new RegExp(`${program} cannot be run.*the administrators must install`),
        );
      } finally {
        renameSync(`${path}.away`, path);
      }
    });
  }

  it('a batch job fails, and says why in its output', async () => {
    const result = await site().run(
      `${inNewDirectory} && ${batch(`--image=$REGISTRY/no/such:1 --output=out --wrap='srun touch "$PWD/ran"'`)}; code=$?; cat out >&2; test -e ran && echo ran; exit $code`,
    );
    assert.notEqual(result.code, 0);
    assert.match(sentences(result.stderr).join('\n'), /no\/such:1.*not found/);
    assert.doesNotMatch(result.stdout, /ran$/m);
  });

  it('32 ranks say one sentence', async () => {
    await refused(
      (mark) => site().run(`srun -N1 -n32 --image=$REGISTRY/no/such:1 touch ${mark}`),
      /not found/,
    );
  });
};

clusterSuite('an image that cannot be had', {}, (site) => {
  trapsFor(site);

  it('a layer whose bytes are not those of its digest', async () => {
    const reference = await site().push(await busyboxImage(), 'corrupt:1');
    const blob = largestBlob(`${site().cluster.layout.data}/registry`);
    const whole = readFileSync(blob);
    writeFileSync(blob, Buffer.alloc(whole.length, 'x'));
    await site().cluster.daemon.stop();
    for (const node of site().cluster.nodes)
      rmSync(`${site().cluster.layout.nodes}/${node}/store/blobs`, { recursive: true, force: true });
    await site().cluster.daemon.start();
    try {
      await refused(
        (mark) => site().run(`srun --image=${reference} touch ${mark}`),
        /corrupt:1.*sha256:[0-9a-f]{64}/,
      );
    } finally {
      writeFileSync(blob, whole);
    }
  });

  it('a name that is no image is refused by sbatch before anything is queued', async () => {
    for (const name of [
      'Ubuntu:24.04',
      'ubuntu:',
      '',
      'ubuntu@sha256:123',
      'a//b',
      '"a b"',
      '-x',
      'x'.repeat(5000),
    ]) {
      const { code, stdout, stderr } = await site().run(`sbatch --image=${name} --wrap=true`);
      assert.equal(code, 1, name);
      assert.equal(stdout, '');
      assert.equal(sentences(stderr).length, 1, stderr);
    }
  });

  it('a password in the name is not repeated', async () => {
    for (const name of [
      'me:secret@registry.example/x',
      'me:secret@registry.example:5000/x',
      'me:secret@x:5000',
    ]) {
      const { code, stderr } = await site().run(`srun --image=${name} true`);
      assert.equal(code, 1);
      assert.doesNotMatch(stderr, /secret/);
    }
  });

  it('a name slipped past the check of srun is checked again on the node', async () => {
    await refused(
      (mark) => site().run(`SLURM_SPANK__SLURM_SPANK_OPTION_stowage_image='a b' srun touch ${mark}`),
      /--image/,
    );
  });

  it('srun --export=NONE', async () => {
    assert.match(
      await site().output('srun --export=NONE --image=$IMAGE /bin/cat /etc/os-release'),
      /Stowage test/,
    );
  });

  it('sbatch --export=NONE: each srun of the script runs in the image', async () => {
    const printed = await site().output(
      `${inNewDirectory} && ${batch("--export=NONE --image=$IMAGE --output=out --wrap='srun cat /etc/os-release'")} && cat out`,
    );
    assert.match(printed, /Stowage test image/);
  });
});

clusterSuite('a plugin loaded as optional', { plugin: { flag: 'optional' } }, trapsFor);

clusterSuite('a plugin with an argument it does not know', { plugin: { args: { sokcet: '/x' } } }, (site) => {
  it('refuses a job with an image at submission', async () => {
    await refused(
      (mark) => site().run(`srun --image=$IMAGE touch ${mark}`),
      /plugstack\.conf: unknown argument 'sokcet=\/x'/,
    );
  });

  it('does not touch a job without', async () => {
    assert.equal(await site().output('srun echo fine'), 'fine\n');
  });
});

clusterSuite(
  'a tree store that is not there',
  { plugin: { args: { trees: '/run/no-such-trees' } } },
  (site) => {
    it('fails the step, and not the epilog', async () => {
      await refused(
        (mark) => site().run(`srun --image=$IMAGE touch ${mark}`),
        /n[12]: the tree store \/run\/no-such-trees is not there \(.*\); the administrators must mount it/,
      );
    });
  },
);

clusterSuite('batch=container', { plugin: { args: { batch: 'container' } } }, (site) => {
  const script = "--output=out --wrap='cat /etc/os-release'";
  const printed = (options: string): Promise<string> =>
    site().output(`${inNewDirectory} && ${batch(`${options} ${script}`)} && cat out`);

  it('runs the batch script in the image', async () => {
    assert.match(await printed('--image=$IMAGE'), /Stowage test image/);
  });

  it('does so with --export=NONE, under which Slurm loses the option', async () => {
    assert.match(await printed('--image=$IMAGE --export=NONE'), /Stowage test image/);
  });

  it('leaves a job without an image on the host, whoever submits it', async () => {
    assert.doesNotMatch(await printed(''), /Stowage test image/);
    const inherited = await site().output(
      `${inNewDirectory} && export SLURM_STOWAGE_IMAGE=$IMAGE && ${batch(script)} && cat out`,
    );
    assert.doesNotMatch(inherited, /Stowage test image/);
  });

  it('does not run the script when the image cannot be had', async () => {
    const { code, stdout } = await site().run(
      `${inNewDirectory} && ${batch("--image=$REGISTRY/no/such:1 --output=out --wrap='echo on the host'")}; code=$?; cat out; exit $code`,
    );
    assert.notEqual(code, 0);
    assert.doesNotMatch(stdout, /on the host/);
    assert.match(stdout, /stowage: n[12]: .*not found/);
  });
});
