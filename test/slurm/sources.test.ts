import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';

import { clusterSuite, user } from './cluster-suite.js';
import { makeSources } from './image-sources.js';
import { inAllocation, treesOn, withoutUnpacker } from './trees.js';

/** What the images' configurations say; root file systems have none. */
const withConfiguration = {
  'a registry': '$IMAGE',
  'a registry, docker://': 'docker://$IMAGE',
  'a registry, as Shifter writes it': 'docker:$IMAGE',
  'a registry, as pyxis writes it': '${IMAGE/\\//#}',
  'an OCI layout': 'oci:$DIR/layout',
  'an OCI layout and a tag': 'oci:$DIR/layout:latest',
  'an OCI layout by its path': '$DIR/layout',
  'an OCI archive': 'oci-archive:$DIR/oci.tar',
  'an OCI archive by its path': '$DIR/oci.tar',
  'a docker archive': 'docker-archive:$DIR/docker.tar',
  'a docker archive and a name': 'docker-archive:$DIR/docker.tar:stowage/app:1.2',
  'a docker archive by its path': '$DIR/docker.tar',
};
const withoutConfiguration = {
  'a directory': '$DIR/root',
  tar: '$DIR/root.tar',
  'tar.gz': '$DIR/root.tar.gz',
  'tar.bz2': '$DIR/root.tar.bz2',
  'tar.xz': '$DIR/root.tar.xz',
  'tar.zst': '$DIR/root.tar.zst',
  cpio: '$DIR/root.cpio',
  'cpio.gz': '$DIR/root.cpio.gz',
  squashfs: '$DIR/root.sqsh',
  SIF: '$DIR/root.sif',
};

const hostile: readonly (readonly [what: string, image: string, sentence: RegExp])[] = [
  ['a tar file with a name that climbs out', '$DIR/climbing.tar', /'\.\.\/\.\.\/escaped'/],
  ['a web page', '$DIR/page.tar', /page\.tar/],
  ['an empty file', '$DIR/empty.tar', /empty\.tar/],
  ['a file that the user may not read', '$DIR/others.tar', /others\.tar.*Permission denied/],
  ['a FIFO', '$DIR/fifo.tar', /fifo\.tar/],
  ['a device', '/dev/zero', /\/dev\/zero/],
  ['a file that is not there', '$DIR/none.tar', /there is no '.*none\.tar' on this node/],
  ['a truncated squashfs image', '$DIR/short.sqsh', /squashfs/],
  ['a SIF file of ext3', '$DIR/ext3.sif', /ext3/],
  ['a SIF file for another architecture', '$DIR/foreign.sif', /amd64|arm64/],
  ['an OCI layout with a symlink for a blob', 'oci:$DIR/linked', /blobs\/sha256/],
  ['an OCI layout with a FIFO for a blob', 'oci:$DIR/piped', /blobs\/sha256/],
  ['a tag that is not in the layout', 'oci:$DIR/layout:other', /other/],
  ['a docker archive without images', 'docker-archive:$DIR/docker-null.tar', /manifest\.json/],
  ['a docker archive with a layer outside', 'docker-archive:$DIR/docker-climbing.tar', /\.\.\/escaped/],
  ['a docker archive of two images and no name', 'docker-archive:$DIR/docker-two.tar', /app:a.*app:b/],
];

clusterSuite('an image from each kind of source', {}, (site) => {
  let directory: string;
  before(async () => {
    directory = await makeSources(user);
  });
  after(() => rmSync(directory, { recursive: true }));

  /** As site().run(); $DIR is where the images lie. */
  const run = (command: string) => site().run(command, { env: { DIR: directory } });
  const output = (command: string) => site().output(command, { env: { DIR: directory } });

  for (const [what, image] of Object.entries({ ...withConfiguration, ...withoutConfiguration }))
    it(`runs in ${what}, and again without unpacking it again`, async () => {
      const command = `--image="${image}" sh -c 'grep PRETTY_NAME /etc/os-release; cat /etc/motd; env'`;
      await inAllocation(site(), async (srun) => {
        const first = await output(`${srun} ${command}`);
        assert.match(first, /Stowage test image/);
        assert.match(first, /^from the upper layer$/m);
        assert.equal(/^FROM_IMAGE=yes$/m.test(first), what in withConfiguration);
        const trees = treesOn(site(), 'n1');
        assert.equal(trees.length > 0, what !== 'a directory', trees.join('\n'));
        const second = await withoutUnpacker(site(), () => output(`${srun} ${command}`));
        assert.match(second, /Stowage test image/);
        assert.deepEqual(treesOn(site(), 'n1'), trees);
      });
    });

  it('finds an image by a path relative to where srun was started, also after cd', async () => {
    const script = 'cd $DIR && salloc --image=./root.tar bash -c "cd / && srun cat /etc/os-release"';
    assert.match(await output(script), /Stowage test image/);
  });

  it('runs a new image when the file has been replaced', async () => {
    const read = `--image=$DIR/changing.tar cat /etc/motd`;
    await output('cp $DIR/root.tar $DIR/changing.tar');
    await inAllocation(site(), async (srun) => {
      assert.equal(await output(`${srun} ${read}`), 'from the upper layer\n');
      await output(
        'd=$(mktemp -d) && cd $d && mkdir etc && echo new >etc/motd && cp $DIR/root.tar t &&' +
          ' tar -rf t ./etc/motd && mv t $DIR/changing.tar && rm -r $d',
      );
      assert.equal(await output(`${srun} ${read}`), 'new\n');
    });
  });

  for (const [what, image, sentence] of hostile)
    it(`refuses ${what} in one sentence`, async () => {
      const mark = `${directory}/ran`;
      const { code, stdout, stderr } = await run(`srun -n1 --image="${image}" touch ${mark}`);
      assert.equal(existsSync(mark), false, 'the program ran although its image is none');
      assert.notEqual(code, 0);
      assert.equal(stdout, '');
      const sentences = stderr.split('\n').filter((line) => line.includes('stowage: '));
      assert.equal(sentences.length, 1, stderr);
      assert.match(sentences[0] ?? '', sentence);
    });
});
