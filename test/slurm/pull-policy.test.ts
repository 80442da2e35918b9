/** --image-pull, and which image it was that ran. */
import assert from 'node:assert/strict';

import { busyboxImageSaying } from '../support/busybox-image.js';
import { DockerRegistry } from '../support/docker-registry.js';
import type { OciImage } from '../support/oci-image.js';
import { batch } from './batch.js';
import { clusterSuite, inNewDirectory } from './cluster-suite.js';
import { forgetImages } from './forget.js';
import { refusal, sentencesIn } from './sentences.js';

let registry: DockerRegistry;
let one: OciImage;
let two: OciImage;
let tag: string;

/** Every job asks anew what a tag stands for. */
const withMovingTag = async () => {
  registry = await DockerRegistry.start();
  one = await busyboxImageSaying('policy-one', 'one\n');
  two = await busyboxImageSaying('policy-two', 'two\n');
  tag = await registry.push(one, 'app:moving');
  return {
    nodes: 1,
    stowageToml: { resolve: { ttl_seconds: 0 }, registries: { [registry.host]: { http: true } } },
  };
};

/** A batch job of these lines; prints what it printed. */
const printedBy = (options: string, ...lines: string[]): string =>
  `${inNewDirectory} && ${batch(`${options} --output=out`, ['#!/bin/bash', ...lines].join('\n'))}; cat out`;

clusterSuite('--image-pull', withMovingTag, (site) => {
  const motd = 'cat /etc/motd';
  const image = () => `--image=${tag}`;

  const beginAnew = async (): Promise<void> => {
    await registry.restart();
    await registry.push(one, 'app:moving');
    await forgetImages(site());
  };
  after(() => registry.end());

  describe('decides what runs:', () => {
    beforeEach(beginAnew);

    it('=missing downloads what is not there, and follows a tag that moves', async () => {
      assert.equal(await site().output(`srun --image-pull=missing ${image()} ${motd}`), 'one\n');
      await registry.push(two, 'app:moving');
      assert.equal(await site().output(`srun --image-pull=missing ${image()} ${motd}`), 'two\n');
    });

    it('=missing, and nothing at all, run what the tag was when the registry is gone, and say so', async () => {
      await site().output(`srun ${image()} ${motd}`);
      await registry.stop();
      for (const option of ['', '--image-pull=missing']) {
        const { code, stdout, stderr } = await site().run(`srun -n2 ${option} ${image()} ${motd}`);
        assert.equal(code, 0, stderr);
        assert.equal(stdout, 'one\none\n');
        const [sentence = '', ...more] = sentencesIn(stderr);
        assert.deepEqual(more, [], 'once, not by each rank');
        assert.match(sentence, /sha256:[0-9a-f]{64}/);
        assert.ok(sentence.includes(tag) || sentence.includes(registry.host), sentence);
      }
    });

    it('=always asks the registry, or fails', async () => {
      await site().output(`srun ${image()} ${motd}`);
      await registry.push(two, 'app:moving');
      assert.equal(await site().output(`srun --image-pull=always ${image()} ${motd}`), 'two\n');
      await registry.stop();
      refusal(
        await site().run(`srun --image-pull=always ${image()} ${motd}`),
        tag,
        /cannot be reached|connect/,
      );
    });

    it('=never asks nobody, and runs what the user had here', async () => {
      await site().output(`srun ${image()} ${motd}`);
      await registry.push(two, 'app:moving');
      registry.forgetRequests();
      assert.equal(await site().output(`srun --image-pull=never ${image()} ${motd}`), 'one\n');
      assert.deepEqual(await registry.settledRequests(/app/), []);
      assert.deepEqual(await registry.settledRequests(/app/, 'HEAD'), []);
    });

    it('=never on a node that does not have the image says so', async () => {
      refusal(await site().run(`srun --image-pull=never ${image()} ${motd}`), tag, 'n1', /--image-pull|pull/);
    });

    it('=never does not let one user run what only another had here', async () => {
      await site().output(`srun ${image()} ${motd}`);
      refusal(await site().cluster.run('stow-b', `srun --image-pull=never ${image()} ${motd}`), tag, 'n1');
    });

    it('in #SBATCH holds for each srun of the script, and srun may differ', async () => {
      await site().output(`srun ${image()} ${motd}`);
      await registry.stop();
      const printed = await site().run(
        printedBy(
          '',
          `#SBATCH ${image()} --image-pull=always`,
          `srun ${motd}`,
          `srun --image-pull=never ${motd}`,
        ),
      );
      assert.equal(printed.stdout.match(/^one$/gm)?.length, 1, printed.stdout);
      assert.match(printed.stdout, /stowage: .*(cannot be reached|connect)/);
    });

    it('of sbatch holds for its steps, with --export=NONE too', async () => {
      await site().output(`srun ${image()} ${motd}`);
      await registry.stop();
      for (const value of ['', '--export=NONE']) {
        const never = printedBy(`${value} ${image()} --image-pull=never`, `srun ${motd}`);
        assert.match((await site().run(never)).stdout, /^one$/m);
        const always = printedBy(`${value} ${image()} --image-pull=always`, `srun ${motd}`);
        assert.doesNotMatch((await site().run(always)).stdout, /^one$/m);
      }
    });

    it('of salloc holds for its steps', async () => {
      await site().output(`srun ${image()} ${motd}`);
      await registry.push(two, 'app:moving');
      assert.equal(await site().output(`salloc ${image()} --image-pull=never srun ${motd}`), 'one\n');
      assert.equal(await site().output(`salloc ${image()} --image-pull=always srun ${motd}`), 'two\n');
    });

    it('of another kind is refused before anything is queued', async () => {
      const { code, stdout, stderr } = await site().run(`srun ${image()} --image-pull=sometimes hostname`);
      assert.notEqual(code, 0);
      assert.equal(stdout, '');
      assert.match(stderr, /sometimes.*missing.*always.*never/s);
    });
  });

  describe('the digest', () => {
    before(beginAnew);

    const digestOf = async (): Promise<string> => {
      const { headers } = await fetch(`http://${registry.host}/v2/app/manifests/moving`, {
        method: 'HEAD',
        headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
      });
      return headers.get('docker-content-digest') ?? '';
    };

    it('is told to every rank as STOWAGE_IMAGE_DIGEST', async () => {
      const printed = await site().output(`srun -n4 ${image()} sh -c 'echo $STOWAGE_IMAGE_DIGEST'`);
      assert.equal(printed, `${await digestOf()}\n`.repeat(4));
    });

    it('is told to ranks with --export=NONE', async () => {
      const printed = await site().output(`srun --export=NONE ${image()} sh -c 'echo $STOWAGE_IMAGE_DIGEST'`);
      assert.equal(printed, `${await digestOf()}\n`);
    });

    it('cannot be made up by the job', async () => {
      const command = `srun ${image()} sh -c 'echo $STOWAGE_IMAGE_DIGEST'`;
      const printed = await site().output(command, { env: { STOWAGE_IMAGE_DIGEST: 'sha256:of-my-choice' } });
      assert.equal(printed, `${await digestOf()}\n`);
    });

    it('is printed once for --image-show-digest', async () => {
      const { stdout, stderr } = await site().run(`srun -n4 --image-show-digest ${image()} ${motd}`);
      assert.equal(`${stdout}${stderr}`.split(await digestOf()).length - 1, 1, `${stdout}${stderr}`);
    });

    it('is printed for #SBATCH --image-show-digest, into the output of the job', async () => {
      const { stdout } = await site().run(
        printedBy('', `#SBATCH ${image()} --image-show-digest`, `srun ${motd}`),
      );
      assert.ok(stdout.includes(await digestOf()), stdout);
    });

    it('opens the same image again', async () => {
      await site().output(`srun ${image()} ${motd}`);
      const digest = await digestOf();
      await registry.push(two, 'app:moving');
      assert.equal(await site().output(`srun --image=${registry.host}/app@${digest} ${motd}`), 'one\n');
    });
  });
});
