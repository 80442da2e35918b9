/** store.shared: a directory that all nodes see, from which they read what one of them has downloaded. */
import assert from 'node:assert/strict';

import { busyboxImage } from '../support/busybox-image.js';
import { DockerRegistry } from '../support/docker-registry.js';
import { clusterSuite } from './cluster-suite.js';
import { forgetImages } from './forget.js';
import { sharedDirectory } from './shared-directory.js';

let registry: DockerRegistry;
let shared: ReturnType<typeof sharedDirectory>;

const withSharedStore = async () => {
  registry = await DockerRegistry.start();
  const image = await busyboxImage();
  for (const name of ['together:1', 'in-turn:1']) await registry.push(image, name);
  shared = sharedDirectory();
  return { stowageToml: { store: { shared: shared.path }, registries: { [registry.host]: { http: true } } } };
};

clusterSuite('two nodes with a shared store', withSharedStore, (site) => {
  after(async () => {
    await registry.end();
    shared.remove();
  });

  const eachOnce = async (repository: string): Promise<void> => {
    const copies = await registry.copiesSent(repository);
    assert.deepEqual([...copies.values()], [1, 1, 1], `a configuration and two layers of ${repository}`);
  };

  it('that ask at once: the registry sends each blob once', async () => {
    const step = `srun -N2 -n2 --image=${registry.host}/together:1 cat /etc/motd`;
    assert.equal(await site().output(step), 'from the upper layer\n'.repeat(2));
    await eachOnce('together');
  });

  it('that ask one after the other: the second downloads nothing', async () => {
    for (const node of site().cluster.nodes) {
      const step = `srun -w ${node} --image=${registry.host}/in-turn:1 cat /etc/motd`;
      assert.equal(await site().output(step), 'from the upper layer\n');
    }
    const copies = await registry.copiesSent('in-turn');
    // What is there already was delivered from the other repository: whether this one has it too is asked with a
    // single byte.
    for (const [digest, times] of copies) assert.ok(times < 0.1, `${digest} was sent ${times} times`);
  });

  it('that have lost what they had: the registry is asked for no blob again', async () => {
    await forgetImages(site());
    registry.forgetRequests();
    const step = `srun -N2 -n2 --image=${registry.host}/together:1 cat /etc/motd`;
    assert.equal(await site().output(step), 'from the upper layer\n'.repeat(2));
    for (const [digest, times] of await registry.copiesSent('together'))
      assert.ok(times < 0.1, `${digest} was sent ${times} times`);
  });
});
