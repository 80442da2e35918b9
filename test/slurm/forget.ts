import type { Site } from './cluster-suite.js';

/** Every node is as if no image had ever been used there. */
export const forgetImages = async ({ cluster }: Site): Promise<void> => {
  await cluster.daemon.stop();
  cluster.emptyStores();
  await cluster.daemon.start();
};
