import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { status } from '@grpc/grpc-js';

import { stowage } from '#proto';

import type { PrepareRequestMessage, PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import { eachInEnterSandbox, endOf, type EnterOptions } from '../support/enter-sandbox.js';
import { listenGrpc, type PrepareCall, welcome } from '../support/fake-daemon.js';
import { digestOf, ordinaryUser } from '../unpack/sandbox.js';

type Plan = NonNullable<PrepareResponseMessage['plan']>;

const { Format } = stowage.v1.LocalImage;
const imageDigest = digestOf(Buffer.from('an image'));
const tree = imageDigest.replace(':', '-');
const budget = { maxBytes: 1_000_000, maxInodes: 1000, maxSeconds: 60, maxDepth: 64 };

/** What `--identify` prints. */
const records = (...lines: string[]): string => lines.map((line) => `printf '%s\\0' '${line}'`).join('\n');

/** Identifies each file as the one, and unpacks whatever it is into a tree with one file. */
const unpacker = (...identity: string[]): string =>
  `if test "$1" = --identify; then\n${records(...identity)}\nelse\nmkdir $root/bin && echo unpacked >$root/bin/app\nfi`;

const squashfs = ['kind=squashfs', `digest=${imageDigest}`, 'size=7', 'offset=0', 'length=7'];

describe('stowage-enter, with an image in a file or directory', () => {
  const sandbox = eachInEnterSandbox();
  let requests: PrepareRequestMessage[];

  /** A path in the sandbox. */
  const at = (name: string): string => `${sandbox().directory}/${name}`;

  const file = (name: string, content = 'content', ageSeconds = 10): string => {
    fs.writeFileSync(at(name), content);
    sandbox().giveToUser(at(name));
    // The change time cannot be set: what is young must wait, what is to be old is told so.
    if (ageSeconds === 0) fs.utimesSync(at(name), new Date(), new Date());
    return at(name);
  };

  const directory = (name: string, ...entries: string[]): string => {
    for (const entry of ['', ...entries]) fs.mkdirSync(`${at(name)}/${entry}`, { recursive: true });
    sandbox().giveToUser(at(name));
    return at(name);
  };

  const serve = async (plan: Plan = {}, ask?: (call: PrepareCall) => Promise<void>): Promise<void> => {
    requests = [];
    await sandbox().serve(
      listenGrpc(sandbox().socket, (call) => {
        requests.push(call.request);
        call.write(welcome);
        void (async () => {
          await ask?.(call);
          call.write({ plan: { imageDigest, workingDirectory: '/', budget, ...plan } });
          call.end();
        })();
      }),
    );
  };

  describe('opening it', () => {
    const fails = (sentence: string | RegExp, options: EnterOptions) => sandbox().fail(sentence, options);

    it('finds nothing there', () =>
      fails(`there is no '${at('x.sif')}' on this node; name a file that the compute nodes see`, {
        image: at('x.sif'),
      }));

    it('starts where --image was written', () =>
      fails(new RegExp(`^there is no '${at('sub/x.sif')}' on this node`), {
        image: './x.sif',
        submittedFrom: at('sub'),
      }));

    it('starts at home', () =>
      fails(new RegExp(`^there is no '${sandbox().home}/x.sif' on this node`), {
        image: '~/x.sif',
        submittedFrom: at('sub'),
      }));

    it('does not know where to start', () =>
      fails('Slurm did not carry the directory that the path is relative to; write the whole path', {
        image: './x.sif',
      }));

    it('names both the path and the tag', () =>
      fails(new RegExp(`^there is no '${at('layout')}' on this node`), { image: `oci:${at('layout')}:1` }));

    it('names both although together they are longer than any name may be', () => {
      const name = at('l'.repeat(200));
      return fails(new RegExp(`^there is no '${name}' on this node`), {
        image: `oci:${name}:${'t'.repeat(100)}`,
      });
    });

    it('may not read it', () => {
      const image = file('secret.sif');
      fs.chmodSync(image, 0);
      return fails(`you may not read '${image}' (Permission denied)`, { image });
    });

    it('may not look into its directory', () => {
      const locked = directory('locked');
      fs.chmodSync(locked, 0);
      return fails(`you may not read '${locked}/x.sif' (Permission denied)`, { image: `${locked}/x.sif` });
    });

    it('does not wait for the writer of a FIFO', () => {
      assert.equal(spawnSync('mkfifo', ['-m', '666', at('pipe')]).status, 0);
      return fails(`'${at('pipe')}' is a FIFO; name a file or a directory`, { image: at('pipe') });
    });

    it('does not open a device', () =>
      fails(`'/dev/null' is a character device; name a file or a directory`, { image: '/dev/null' }));

    it('does not take the root directory, whatever it is called', () =>
      fails(/^'\/tmp\/\.\.' is the root directory of the node; to run on the host, leave --image out$/, {
        image: '/tmp/..',
      }));

    it('does not take a directory in which nothing can run', () => {
      const image = directory('data', 'results');
      return fails(
        `'${image}' holds neither a root file system (there is no bin, usr, lib or etc in it) ` +
          'nor an OCI image layout (oci-layout and index.json)',
        { image },
      );
    });

    it('cannot build a container on what belongs to another user', function () {
      if (!ordinaryUser) this.skip();
      const image = at('rootfs');
      fs.mkdirSync(`${image}/etc`, { recursive: true });
      return fails(
        `'${image}' belongs to another user, and only its owner can run it as it is; copy it with 'stowage unpack' ` +
          'and name the copy, or have it packed into a file (squashfs or tar)',
        { image },
      );
    });

    it('does not take a root file system for a layout', () => {
      const image = directory('rootfs', 'bin');
      return fails(
        `'${image}' is not an OCI image layout; that is a directory with oci-layout and index.json in it`,
        { image: `oci:${image}` },
      );
    });

    it('does not take a directory for an archive', () => {
      const image = directory('rootfs', 'bin');
      return fails(`'${image}' is a directory and not an archive; write oci:${image}`, {
        image: `docker-archive:${image}`,
      });
    });

    it('does not take a file for a directory', () => {
      const image = file('x.tar');
      return fails(`'${image}' is a file and not a directory; write oci-archive:${image}`, {
        image: `oci:${image}`,
      });
    });

    it('refuses what cannot be an image although nobody did before', () =>
      fails(/^--image=\/: this is no image but a directory above others/, { image: '/' }));
  });

  describe('identifying a file', () => {
    it('hands on why it is none', async () => {
      sandbox().replaceUnpacker(`echo 'this is a picture of a cat' >&2; exit 1`);
      const image = file('cat.jpg');
      await sandbox().fail(`'${image}' cannot be used: this is a picture of a cat`, { image });
    });

    for (const [what, output] of [
      ['nothing', ''],
      ['half a record', "printf 'kind=tar'"],
      ['a kind of a later release', records('kind=hologram', `digest=${imageDigest}`)],
      ['a root file system without a digest', records('kind=tar', 'size=7')],
      ['a member that has no place', records('kind=archive', 'member=12 x')],
      ['a member beyond all files', records('kind=archive', 'member=99999999999999999999 1 x')],
    ] as const) {
      it(`does not understand ${what}`, async () => {
        sandbox().replaceUnpacker(output);
        const image = file('x');
        await sandbox().fail(
          /^'.*' cannot be used: stowage-unpack says '.*' of a file, which stowage-enter does not understand; /,
          { image },
        );
      });
    }

    it('takes no more than ten thousand members', async () => {
      sandbox().replaceUnpacker(
        `printf 'kind=archive\\0'; i=0; while test $i -le 10000; do printf 'member=0 1 %s\\0' $i; i=$((i+1)); done`,
      );
      const image = file('x');
      await sandbox().fail(/^'.*' cannot be used: stowage-unpack says 'member=0 1 10000'/, { image });
    });

    it('refuses one that is being written', async () => {
      sandbox().replaceUnpacker(`echo more >>"$sandbox/x"\n${records(...squashfs)}`);
      const image = file('x');
      await sandbox().fail(`'${image}' changed while it was read; try again when it is complete`, { image });
    });

    it('refuses one for another machine', async () => {
      sandbox().replaceUnpacker(unpacker('kind=sif', `digest=${imageDigest}`, 'architecture=s390x'));
      const image = file('x.sif');
      await sandbox().fail(
        /^'.*x\.sif' was built for s390x, and this node is \w+; build or pull it for this architecture$/,
        { image },
      );
    });

    it('does not take a root file system for an archive', async () => {
      sandbox().replaceUnpacker(unpacker(...squashfs));
      const image = file('x');
      await sandbox().fail(
        `'${image}' is a root file system (squashfs) and not an archive of an image; name it without the scheme`,
        { image: `oci-archive:${image}` },
      );
    });

    it('says which archive it is if the other was named', async () => {
      sandbox().replaceUnpacker(unpacker('kind=archive', 'member=0 1 manifest.json'));
      const image = file('x');
      await sandbox().fail(`'${image}' has no index.json; try docker-archive:`, {
        image: `oci-archive:${image}`,
      });
    });

    it('says which archive it is if that was named and has no manifest', async () => {
      sandbox().replaceUnpacker(unpacker('kind=archive', 'member=0 1 oci-layout', 'member=1 1 index.json'));
      const image = file('x');
      await sandbox().fail(`'${image}' has no manifest.json; try oci-archive:`, {
        image: `docker-archive:${image}`,
      });
    });

    it('does not let the unpacker answer the plugin', async () => {
      sandbox().replaceUnpacker(
        `if test -e /proc/self/fd/3; then printf 'Eforged\\0' >&3; fi\n${unpacker(...squashfs)}`,
      );
      await serve();
      await sandbox().succeed({ image: file('x') });
    });

    it('dies with the step', async () => {
      sandbox().replaceUnpacker('echo $$ >>"$sandbox/unpacker.log"; exec sleep 60');
      const running = sandbox().enter({ image: file('x') });
      while (sandbox().unpackerRuns().length < 2) await sleep(5);
      sandbox().kill();
      await running;
      await endOf(Number(sandbox().unpackerRuns()[1]));
    });
  });

  describe('unpacking a file with a root file system', () => {
    it('says what it is, and unpacks it', async () => {
      sandbox().replaceUnpacker(unpacker(...squashfs));
      await serve();
      const image = file('x.sqsh');
      const { root } = await sandbox().succeed({ image: './x.sqsh', submittedFrom: sandbox().directory });
      assert.equal(fs.readFileSync(`${root}/bin/app`, 'utf8'), 'unpacked\n');
      const [request] = requests;
      assert.equal(request?.reference, `${sandbox().directory}/x.sqsh`);
      assert.deepEqual({ ...request.local }, { format: Format.FORMAT_ROOT_FILE_SYSTEM, digest: imageDigest });
      assert.match(
        sandbox().unpackerRuns()[1] ?? '',
        new RegExp(
          `^--root-fd \\d+ --max-bytes 1000000 --max-inodes 1000 --max-seconds 60 --max-depth 64 --progress-fd \\d+ --file \\d+:7:${imageDigest}$`,
        ),
      );
      assert.ok(fs.existsSync(`${sandbox().store}/${tree}`));
      assert.ok(fs.existsSync(image));
    });

    it('neither reads nor unpacks it again', async function () {
      this.timeout(30_000);
      this.slow(5000);
      sandbox().replaceUnpacker(unpacker(...squashfs));
      await serve();
      const image = file('x.sqsh');
      await sleep(3100);
      await sandbox().succeed({ image });
      assert.deepEqual(sandbox().kept().sort(), ['files', tree, `${tree}.mount`].sort());
      await sandbox().succeed({ image });
      await sandbox().succeed({ image });
      assert.equal(sandbox().unpackerRuns().length, 2, sandbox().unpackerRuns().join('\n'));
      assert.deepEqual(requests[2]?.unpackedDigests, [imageDigest]);

      // The same bytes in the same place, but written once more.
      fs.writeFileSync(image, 'CONTENT');
      await sandbox().succeed({ image });
      assert.match(sandbox().unpackerRuns()[2] ?? '', /^--identify/);
    });

    it('does not remember a file that may still change unnoticed', async () => {
      sandbox().replaceUnpacker(unpacker(...squashfs));
      await serve();
      await sandbox().succeed({ image: file('x.sqsh') });
      assert.ok(!sandbox().kept().includes('files'));
    });

    it('is swept away with the last tree, and not before', async function () {
      this.timeout(30_000);
      this.slow(5000);
      sandbox().replaceUnpacker(unpacker(...squashfs));
      await serve();
      const image = file('x.sqsh');
      await sleep(3100);
      const { holder } = await sandbox().succeed({ image });
      assert.deepEqual(await sandbox().sweep(), { status: 0, stderr: '' });
      assert.deepEqual(fs.readdirSync(`${sandbox().store}/files`).length, 1);
      process.kill(holder, 'SIGKILL');
      while (fs.readdirSync(sandbox().store).length > 0) {
        await sleep(20);
        assert.deepEqual(await sandbox().sweep(), { status: 0, stderr: '' });
      }
    });
  });

  describe('using a directory as the root', () => {
    it('has it below, as it is, whatever its name', async () => {
      await serve({ imageDigest: '' });
      const image = directory('a b,c:d\\e', 'bin', 'etc');
      fs.writeFileSync(`${image}/bin/app`, 'of the directory');
      const { root, lock, mounts } = await sandbox().succeed({ image });
      assert.equal(fs.readFileSync(`${root}/bin/app`, 'utf8'), 'of the directory');
      assert.equal(lock, '');
      assert.deepEqual([...mounts.keys()], ['/']);
      assert.deepEqual({ ...requests[0]?.local }, { format: Format.FORMAT_ROOT_FILE_SYSTEM });
      assert.deepEqual(fs.readdirSync(sandbox().store), []);
      assert.deepEqual(fs.readdirSync(image), ['bin', 'etc']);
      assert.deepEqual(fs.readdirSync(`${image}/etc`), []);
      assert.ok(fs.existsSync(`${root}/etc/passwd`));
    });

    it('uses the one it opened, not what has that name later', async () => {
      const image = directory('rootfs', 'bin');
      fs.writeFileSync(`${image}/bin/app`, 'opened');
      await serve({ imageDigest: '' }, async () => {
        fs.renameSync(image, at('aside'));
        fs.mkdirSync(`${image}/bin`, { recursive: true });
        fs.writeFileSync(`${image}/bin/app`, 'swapped');
      });
      const { root } = await sandbox().succeed({ image });
      assert.equal(fs.readFileSync(`${root}/bin/app`, 'utf8'), 'opened');
    });
  });

  describe('answering for documents', () => {
    /** Asks for these one after the other, and keeps the answers. */
    const asking =
      (answers: PrepareRequestMessage[], ...wanted: { name: string; maxBytes?: number }[]) =>
      async (call: PrepareCall): Promise<void> => {
        for (const { name, maxBytes = 4 << 20 } of wanted) {
          const answer = new Promise<PrepareRequestMessage>((resolve) => call.once('data', resolve));
          call.write({ documentWanted: { name, maxBytes } });
          answers.push(await answer);
        }
      };

    const layout = (): string => {
      const image = directory('layout', 'blobs/sha256');
      fs.writeFileSync(`${image}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
      fs.writeFileSync(`${image}/index.json`, '{"manifests":[]}');
      return image;
    };

    it('reads the files of a layout, and no other', async () => {
      const image = layout();
      const large = Buffer.alloc(4 << 20, 'large');
      fs.writeFileSync(`${image}/blobs/sha256/large`, large);
      fs.writeFileSync(at('outside'), 'outside');
      fs.symlinkSync('../index.json', `${image}/blobs/link`);
      fs.symlinkSync('blobs', `${image}/dirlink`);
      assert.equal(spawnSync('mkfifo', ['-m', '666', `${image}/blobs/pipe`]).status, 0);
      fs.writeFileSync(`${image}/blobs/locked`, '');
      fs.chmodSync(`${image}/blobs/locked`, 0);
      sandbox().giveToUser(image);
      const answers: PrepareRequestMessage[] = [];
      const ask = asking(
        answers,
        ...[
          'index.json',
          'blobs/sha256/large',
          'blobs/missing',
          'blobs/link',
          'dirlink/sha256/large',
          'blobs/pipe',
          'blobs',
          '../outside',
          at('outside'),
          'blobs/locked',
        ].map((name) => ({ name })),
        { name: 'index.json', maxBytes: 15 },
      );
      const imageDigestHere = sandbox().makeTree();
      await serve({ imageDigest: imageDigestHere }, ask);
      await sandbox().succeed({ image: `oci:${image}:1.2` });
      assert.deepEqual({ ...requests[0]?.local }, { format: Format.FORMAT_OCI_LAYOUT, selector: '1.2' });
      const contents = answers.map(({ document }) => document?.content?.length);
      assert.deepEqual(contents, [16, 4 << 20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
      assert.ok(large.equals(answers[1]?.document?.content ?? Buffer.alloc(0)));
      assert.deepEqual(
        answers.map(({ document }) => document?.problem?.replace(/; copy.*/, '')),
        [
          '',
          '',
          'is missing',
          'is a symbolic link or behind one, which is not followed',
          'is a symbolic link or behind one, which is not followed',
          'is not a regular file',
          'is not a regular file',
          'is not inside the image',
          'is not inside the image',
          'cannot be read: Permission denied',
          'is larger than 15 bytes',
        ],
      );
    });

    it('reads the members of an archive', async () => {
      sandbox().replaceUnpacker(
        unpacker(
          'kind=archive',
          'member=2 3 manifest.json',
          'member=5 100 short',
          'member=0 10 layer name.tar',
        ),
      );
      const image = file('x.tar', '0123456789');
      const answers: PrepareRequestMessage[] = [];
      const ask = asking(answers, { name: 'manifest.json' }, { name: 'index.json' }, { name: 'short' });
      const diffId = digestOf(Buffer.from('diff'));
      await serve({ layers: [{ digest: '', diffId, sizeBytes: 0, member: 'layer name.tar' }] }, ask);
      await sandbox().succeed({ image: `docker-archive:${image}:team/app:1` });
      assert.deepEqual(
        { ...requests[0]?.local },
        { format: Format.FORMAT_DOCKER_ARCHIVE, selector: 'team/app:1' },
      );
      assert.deepEqual(
        answers.map(({ document }) => [Buffer.from(document?.content ?? []).toString(), document?.problem]),
        [
          ['234', ''],
          ['', 'is missing'],
          ['', 'has become shorter while it was read'],
        ],
      );
      assert.match(sandbox().unpackerRuns()[1] ?? '', new RegExp(` --layer \\d+:10:-:${diffId}$`));
    });

    it('opens the layers of a layout', async () => {
      const image = layout();
      fs.writeFileSync(`${image}/blobs/sha256/layer`, 'layer');
      sandbox().giveToUser(image);
      sandbox().replaceUnpacker(unpacker('unused'));
      const [digest, diffId] = [digestOf(Buffer.from('layer')), digestOf(Buffer.from('diff'))];
      await serve({ layers: [{ digest, diffId, sizeBytes: 5, member: 'blobs/sha256/layer' }] });
      const { root } = await sandbox().succeed({ image });
      assert.ok(fs.existsSync(`${root}/bin/app`));
      assert.match(sandbox().unpackerRuns()[0] ?? '', new RegExp(` --layer \\d+:5:${digest}:${diffId}$`));
    });

    for (const [what, make, problem] of [
      ['is missing', () => undefined, 'is missing'],
      [
        'is a link out of it',
        (name: string) => fs.symlinkSync('/etc/passwd', name),
        'is a symbolic link or behind one, which is not followed; copy the image with its files',
      ],
      ['is a FIFO', (name: string) => spawnSync('mkfifo', ['-m', '666', name]), 'is not a regular file'],
      [
        'is longer than it should be',
        (name: string) => fs.writeFileSync(name, 'longer'),
        'has 6 bytes instead of 5; copy the image again',
      ],
    ] as const) {
      it(`refuses a layout of which a layer ${what}`, async () => {
        const image = layout();
        make(`${image}/blobs/sha256/layer`);
        await serve({
          layers: [{ digest: imageDigest, diffId: imageDigest, sizeBytes: 5, member: 'blobs/sha256/layer' }],
        });
        await sandbox().fail(`image oci:${image}: the layer blobs/sha256/layer ${problem}`, {
          image: `oci:${image}`,
        });
      });
    }

    it('half-closes the call after the plan, and not before', async () => {
      const image = layout();
      const happened: string[] = [];
      const imageDigestHere = sandbox().makeTree();
      await sandbox().serve(
        listenGrpc(sandbox().socket, (call) => {
          for (const event of ['end', 'error']) call.on(event, () => happened.push(event));
          call.write(welcome);
          setTimeout(() => {
            happened.push('plan');
            call.write({ plan: { imageDigest: imageDigestHere, workingDirectory: '/' } });
          }, 200);
          call.once('end', () => call.end());
        }),
      );
      await sandbox().succeed({ image });
      await sleep(50);
      assert.deepEqual(happened, ['plan', 'end']);
    });

    it('takes a failure although it could still be asked', async () => {
      const image = layout();
      const happened: string[] = [];
      await sandbox().serve(
        listenGrpc(sandbox().socket, (call) => {
          call.on('error', () => happened.push('error'));
          call.write(welcome);
          call.emit('error', { code: status.NOT_FOUND, details: 'there is no image 1 in it' });
        }),
      );
      await sandbox().fail('there is no image 1 in it', { image: `oci:${image}:1` });
      assert.deepEqual(happened, ['error']);
    });

    it('has nothing to ask for in an image of a registry', async () => {
      await serve({}, async (call) => {
        call.write({ documentWanted: { name: 'index.json', maxBytes: 1 } });
        await sleep(1000);
      });
      await sandbox().fail("stowaged asked for 'index.json', a file of an image that has none");
    });
  });
});
