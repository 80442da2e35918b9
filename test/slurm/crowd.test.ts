/** Many ranks of several steps that ask at once for an image which the node does not have. */
import assert from 'node:assert/strict';

import { busyboxImage } from '../support/busybox-image.js';
import { DockerRegistry } from '../support/docker-registry.js';
import { ThrottlingProxy } from '../support/throttling-proxy.js';
import { clusterSuite } from './cluster-suite.js';
import { forgetImages } from './forget.js';
import { inAllocation, treesOn } from './trees.js';

let registry: DockerRegistry;
let proxy: ThrottlingProxy;

/** Slow enough that all ask while the first download is under way. */
const withSlowRegistry = async () => {
  registry = await DockerRegistry.start();
  proxy = await ThrottlingProxy.start(registry.host, 400_000);
  await registry.push(await busyboxImage(), 'crowd:1');
  return { nodes: 1, stowageToml: { registries: { [proxy.host]: { http: true } } } };
};

clusterSuite('a crowd that asks for a cold image', withSlowRegistry, (site) => {
  after(async () => {
    await proxy.stop();
    await registry.end();
  });

  it('100 tasks in 4 steps at once: the registry sends each blob once, and there is one tree', async () => {
    await forgetImages(site());
    registry.forgetRequests();
    await inAllocation(site(), async (srun) => {
      const step = `${srun} -n25 --overlap --overcommit --image=${proxy.host}/crowd:1 cat /etc/motd`;
      const printed = await Promise.all(Array.from({ length: 4 }, () => site().output(step)));
      assert.equal(printed.join(''), 'from the upper layer\n'.repeat(100));
      assert.equal(treesOn(site(), 'n1').length, 1);
    });
    const copies = await registry.copiesSent('crowd');
    assert.deepEqual([...copies.values()], [1, 1, 1], 'a configuration and two layers, each once');
  });
});
