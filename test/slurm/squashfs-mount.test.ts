import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';

import { nodePaths } from '../cluster/layout.js';
import { allProcesses, identityOf } from '../cluster/proc.js';
import { stowageToml } from '../cluster/stowage-toml.js';
import { strays } from '../cluster/sweep.js';
import { waitFor } from '../cluster/wait.js';
import { clusterSuite, user } from './cluster-suite.js';
import { large, makeSquashfsImages } from './squashfs-images.js';
import { inAllocation, treesDirectory, treesOn, withoutUnpacker } from './trees.js';

type Mode = 'unpack' | 'mount';

/** In the container's environment, as the files of the image say. */
const environments = {
  'x.sqsh': ['PATH=/bin:/opt', 'ENROOT=as it is: $HOME "x"'],
  'x.sif': ['FIRST=of the image', 'SECOND=of the image, of 90'],
};
const files = Object.keys(environments) as (keyof typeof environments)[];

clusterSuite(
  'a squashfs image that is mounted',
  { stowageToml: { image: { squashfs: 'mount' } } },
  (site) => {
    const nodesOf = (node: string): string => `${site().cluster.layout.nodes}/${node}`;
    let directory: string;
    before(async () => {
      directory = await makeSquashfsImages(user);
    });
    after(() => rmSync(directory, { recursive: true }));

    /** As site().run(); $DIR is where the images lie. */
    const run = (command: string) => site().run(command, { env: { DIR: directory } });
    const output = (command: string) => site().output(command, { env: { DIR: directory } });

    /** Runs while stowaged says to treat squashfs images so. */
    const inMode = async (mode: Mode, action: () => Promise<void>): Promise<void> => {
      const { layout, registryHost, daemon } = site().cluster;
      const restart = async (squashfs: Mode): Promise<void> => {
        writeFileSync(layout.stowageToml, stowageToml(layout, registryHost, { image: { squashfs } }));
        await daemon.stop();
        await daemon.start();
      };
      await restart(mode);
      await action().finally(() => restart('mount'));
    };

    /** The processes of this cluster that serve an image. */
    const servers = (): number[] => {
      const program = identityOf(`${site().cluster.layout.prefix}/libexec/stowage/stowage-squashfuse`);
      assert.ok(program);
      return allProcesses()
        .map(({ pid }) => pid)
        .filter((pid) => identityOf(`/proc/${pid}/exe`) === program);
    };
    const serversEnd = () =>
      waitFor(() => servers().length === 0, { failure: 'stowage-squashfuse lives on', timeoutMs: 5000 });

    /** The directory in the tree store that holds nothing but the image. */
    const treeOfImage = (): string => {
      const trees = treesDirectory(site(), 'n1');
      const names = readdirSync(trees).filter((name) => /^squashfs-sha256-[0-9a-f]{64}$/.test(name));
      assert.equal(names.length, 1, readdirSync(trees).join('\n'));
      const tree = `${trees}/${names[0]}`;
      assert.deepEqual(readdirSync(tree), ['image.squashfs']);
      return tree;
    };

    for (const file of files) {
      it(`shows a rank what is in ${file}, and keeps only the compressed bytes on the node`, async () => {
        await inAllocation(site(), async (srun) => {
          const lines = (
            await output(
              `${srun} --image=$DIR/${file} sh -c 'grep " / / " /proc/self/mountinfo; wc -c </large; md5sum </large'`,
            )
          ).split('\n');
          const tree = treeOfImage();
          const seen = tree.replace(nodesOf('n1'), site().cluster.layout.node);
          assert.match(lines[0] ?? '', / - overlay /);
          assert.ok(lines[0]?.includes(`lowerdir=${seen},`), lines[0]);
          assert.deepEqual(lines.slice(1, 3), [
            `${large.length}`,
            `${createHash('md5').update(large).digest('hex')}  -`,
          ]);
          const stored = Number(
            execFileSync('du', ['--summarize', '--block-size=1', treesDirectory(site(), 'n1')], {
              encoding: 'utf8',
            }).split('\t')[0],
          );
          const compressed = statSync(`${directory}/${file}`).size;
          assert.ok(stored < compressed + 100_000, `${stored} bytes are stored of ${compressed}`);
          assert.ok(stored < large.length / 10);
        });
      });

      it(`copies ${file} once for all steps of a job`, async () => {
        await inAllocation(site(), async (srun) => {
          const command = `${srun} --image=$DIR/${file} cat /etc/motd`;
          assert.equal(await output(command), 'from the upper layer\n');
          const trees = treesOn(site(), 'n1');
          const image = `${treeOfImage()}/image.squashfs`;
          const before = statSync(image, { bigint: true });
          assert.equal(await withoutUnpacker(site(), () => output(command)), 'from the upper layer\n');
          const after = statSync(image, { bigint: true });
          assert.deepEqual(
            [after.ino, after.ctimeNs, after.mtimeNs],
            [before.ino, before.ctimeNs, before.mtimeNs],
          );
          assert.deepEqual(treesOn(site(), 'n1'), trees);
        });
      });

      for (const mode of ['unpack', 'mount'] as const)
        it(`gives ranks the environment of ${file} in mode ${mode}`, () =>
          inMode(mode, async () => {
            const lines = (await output(`srun -n1 --image=$DIR/${file} env`)).split('\n');
            for (const expected of environments[file]) assert.ok(lines.includes(expected), lines.join('\n'));
          }));
    }

    it("lets ranks change what is root's in the image, and see what others of their step changed", async () => {
      const rank = `set -e
if [ $SLURM_PROCID = 0 ]; then
    echo more >>/etc/motd; echo new >/etc/new; mkdir /var/lib/dir; rm /large; chmod 700 /root; mv /etc/os-release /etc/moved
    touch /tmp/done-$SLURM_JOB_ID
else
    until [ -e /tmp/done-$SLURM_JOB_ID ]; do usleep 20000; done
    rm /tmp/done-$SLURM_JOB_ID
    cat /etc/motd /etc/new; ls -d /var/lib/dir; ! [ -e /large ]; ls -ld /root | cut -c1-10; cut -d= -f1 /etc/moved
    ! [ -e /etc/os-release ]
fi`;
      await inAllocation(site(), async (srun) => {
        const { code, stdout, stderr } = await site().run(
          `${srun} -n2 --overcommit --image=$DIR/x.sqsh sh -c "$RANK"`,
          {
            env: { DIR: directory, RANK: rank },
          },
        );
        assert.equal(code, 0, stderr);
        assert.equal(
          stdout,
          'from the upper layer\nmore\nnew\n/var/lib/dir\ndrwx------\nNAME\nID\nPRETTY_NAME\n',
        );
        // The image itself is as it was.
        assert.match(
          await output(`${srun} --image=$DIR/x.sqsh cat /etc/motd /etc/os-release`),
          /^from the upper layer\nNAME/,
        );
      });
    });

    /** A step of two ranks that has begun to read its image; `ended` resolves when srun has. */
    const busyStep = async (): Promise<{ ended: Promise<unknown> }> => {
      let stdout = '';
      const script = 'echo begun; while :; do cat /large >/dev/null; done';
      const ended = site().run(
        `srun -N1 -n2 --overcommit --job-name=busy --image=$DIR/x.sqsh sh -c '${script}'`,
        { env: { DIR: directory }, onOutput: (text, stream) => (stdout += stream === 'stdout' ? text : '') },
      );
      await waitFor(() => stdout === 'begun\nbegun\n', {
        failure: 'the ranks do not run',
        timeoutMs: 20_000,
      });
      return { ended };
    };

    it('has one server for all ranks of a step, and none after scancel', async () => {
      const { ended } = await busyStep();
      const found = servers();
      const known = strays(site().cluster.layout).map(({ pid }) => pid);
      await site().run('scancel --name=busy');
      await ended;
      assert.equal(found.length, 1);
      assert.ok(known.includes(found[0] ?? 0), 'left behind, it would not be noticed');
      await serversEnd();
    });

    it('has no server after the step', async () => {
      const step = run(`srun -n1 --image=$DIR/x.sqsh sh -c 'sleep 1; exit 5'`);
      await waitFor(() => servers().length > 0, { failure: 'there is no server', timeoutMs: 20_000 });
      assert.equal((await step).code, 5);
      await serversEnd();
    });

    it('says in one sentence that /dev/fuse is not for users, and the node stays in service', async () => {
      const { fuse } = nodePaths(nodesOf('n1'));
      chmodSync(fuse, 0o600);
      try {
        const { code, stdout, stderr } = await run(
          'srun -n2 --overcommit --nodelist=n1 --image=$DIR/x.sqsh echo ran',
        );
        assert.notEqual(code, 0);
        assert.equal(stdout, '');
        const sentences = stderr.split('\n').filter((line) => line.includes('stowage: '));
        assert.equal(sentences.length, 1, stderr);
        assert.match(
          sentences[0] ?? '',
          /n1: .*\/dev\/fuse mode 0666.*squashfs = "unpack".*Permission denied$/,
        );
      } finally {
        chmodSync(fuse, 0o666);
      }
      await site().cluster.waitUntilIdle();
      assert.equal(await output('srun -n1 --nodelist=n1 --image=$DIR/x.sqsh echo ran'), 'ran\n');
    });

    it('keeps unpacked and mounted trees side by side when the site changes its mind', async () => {
      await inAllocation(site(), async (srun) => {
        const command = `${srun} --image=$DIR/x.sqsh sh -c 'grep -o "lowerdir=[^,]*" /proc/self/mountinfo; cat /etc/motd'`;
        const lowerOf = (text: string): string =>
          /^lowerdir=.*\/(.*)\nfrom the upper layer\n$/.exec(text)?.[1] ?? text;
        const names: string[] = [];
        await inMode('unpack', async () => void names.push(lowerOf(await output(command))));
        names.push(lowerOf(await output(command)));
        const [unpacked = '', mounted = ''] = names;
        assert.match(unpacked, /^sha256-/);
        assert.equal(mounted, `squashfs-${unpacked}`);
        const trees = treesOn(site(), 'n1');
        assert.deepEqual(
          trees.map((tree) => tree.split(' ')[0]),
          ['files', unpacked, mounted],
        );
        await withoutUnpacker(site(), async () => {
          await inMode('unpack', async () => assert.equal(lowerOf(await output(command)), unpacked));
          assert.equal(lowerOf(await output(command)), mounted);
        });
        assert.deepEqual(treesOn(site(), 'n1'), trees);
      });
    });
  },
);
