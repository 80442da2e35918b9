/** An srun without the plugin checks nothing, and hands on what the plugin of the node believes. */
import assert from 'node:assert/strict';

import { clusterSuite, user } from './cluster-suite.js';
import { Home } from './home.js';
import { refusal } from './sentences.js';

clusterSuite('options that nothing has checked', { nodes: 1 }, (site) => {
  const userHome = new Home(user);
  let env: Record<string, string> = {};

  before(async () => {
    const conf = await site().output('sed "s|^PlugStackConfig=.*|PlugStackConfig=/dev/null|" $SLURM_CONF');
    const path = userHome.write(`slurm-without-plugin-${process.pid}.conf`, conf);
    env = { SLURM_CONF: path, SLURM_STOWAGE_IMAGE: site().image };
  });
  after(() => userHome.clear());

  it('are taken if they are right', async () =>
    assert.equal(await site().output('srun cat /etc/motd', { env }), 'from the upper layer\n'));

  const bad: [string, string, RegExp][] = [
    ['IMAGE', 'x\u001b[2Jy', /--image: the name holds control characters/],
    ['IMAGE_MOUNT', 'a:b', /--image-mount: "a:b": the source "a" must begin with/],
    ['IMAGE_MOUNT', '/tmp:/x\n/tmp:/y:\u0001', /--image-mount: the value holds control characters/],
    ['IMAGE_MOUNT', `/${'a'.repeat(20_000)}`, /SLURM_STOWAGE_IMAGE_MOUNT is longer than \d+ bytes/],
    ['IMAGE_WORKDIR', '/x\u001b[2J', /--image-workdir: the value holds control characters/],
    ['IMAGE_WORKDIR', 'x', /--image-workdir=x: it must be an absolute path/],
    ['IMAGE_ENV', 'SLURM_PROCID=7', /--image-env: SLURM_PROCID is Slurm's/],
    ['IMAGE_HOME', 'maybe\u001b', /--image-home: "maybe\?" is neither yes nor no/],
    ['IMAGE_WRITABLE', '', /--image-writable: "" is neither yes nor no/],
    ['IMAGE_ROOT', '2', /--image-root: "2" is neither yes nor no/],
    ['IMAGE_ENTRYPOINT', 'y es', /--image-entrypoint: "y es" is neither yes nor no/],
    ['IMAGE_SHOW_DIGEST', 'x', /--image-show-digest: "x" is neither yes nor no/],
    ['IMAGE_BATCH', 'x', /--image-batch: "x" is neither yes nor no/],
    ['IMAGE_DEVICE', 'a b', /--image-device: "a b" is no name of a CDI device/],
    ['IMAGE_NAME', '../x', /--image-name: "\.\.\/x" is no name of a container/],
    ['IMAGE_SAVE', '/x', /--image-save=\/x: the name of the file tells its format/],
    ['IMAGE_UNSHARE', 'pid', /--image-unshare: "pid" is no namespace/],
    ['IMAGE_PULL', 'x', /--image-pull=x: there are missing, always and never/],
  ];
  for (const [name, value, sentence] of bad) {
    it(`are refused on the node: ${name} ${JSON.stringify(value).slice(0, 40)}`, async () => {
      const result = await site().run('srun echo ran', {
        env: { ...env, [`SLURM_STOWAGE_${name}`]: value },
      });
      assert.doesNotMatch(refusal(result, sentence), /\p{Cc}/u);
    });
  }
});
