import assert from 'node:assert/strict';

import { startCluster, type Cluster, type ClusterOptions } from '../cluster/cluster.js';
import { layoutOf, type Layout } from '../cluster/layout.js';
import type { RunOptions, RunResult } from '../cluster/run.js';
import { makeMissingUsers } from '../cluster/users.js';
import { waitFor } from '../cluster/wait.js';
import { busyboxImage } from '../support/busybox-image.js';
import { pushImage, type OciImage } from '../support/oci-image.js';

// Suites look their accounts up as they are defined.
makeMissingUsers();

/** The ordinary user of the tests. */
export const user = 'stow-a';

/** MPI ranks wait by spinning, and each other out where there are more of them than processors. */
const testMs = 180_000;

/** For a command line: a directory that all nodes see, removed with the shell. */
export const inNewDirectory = 'dir=$(mktemp -dp ~); trap "rm -r $dir" EXIT; cd $dir';

/** A Slurm cluster with Stowage and a registry, for one suite. */
export class Site {
  readonly cluster: Cluster;
  /** Reference of a small image: busybox. */
  readonly image: string;

  constructor(cluster: Cluster, image: string) {
    this.cluster = cluster;
    this.image = image;
  }

  /** Runs a command line of bash as the ordinary user; $IMAGE is the small image. It may take most of the test's time. */
  run(command: string, options?: RunOptions): Promise<RunResult> {
    return this.cluster.run(user, command, {
      timeoutMs: testMs - 10_000,
      ...options,
      env: { IMAGE: this.image, ...options?.env },
    });
  }

  /** As run(), and what it prints; anything but success fails the test with all that was printed. */
  async output(command: string, options?: RunOptions): Promise<string> {
    const result = await this.run(command, options);
    assert.equal(result.code, 0, `${command}\nfailed:\n${result.stdout}${result.stderr}`);
    return result.stdout;
  }

  push(image: OciImage, repository?: string): Promise<string> {
    return pushImage(image, this.cluster.registryHost, repository);
  }
}

/** Of the cluster that is running, or will be. */
export const suiteLayout = (): Layout => layoutOf(`${process.cwd()}/.cluster/test-${process.pid}`);

const describeLeftovers = (cluster: Cluster): string => {
  const { processes, mounts, trees } = cluster.leftovers();
  return [...processes, ...mounts, ...trees].join('\n');
};

/**
 * A suite on a cluster of its own. After each test every node is idle, and no process, mount, tree or lock of a
 * step is left; a test after which that is not so fails.
 */
export const clusterSuite = (
  title: string,
  options: ClusterOptions | (() => Promise<ClusterOptions>),
  define: (site: () => Site) => void,
): void => {
  describe(title, function () {
    this.timeout(testMs);
    this.slow(10_000);
    let site: Site | undefined;

    before(async () => {
      const image = await busyboxImage();
      const cluster = await startCluster({
        nodes: 2,
        stateDirectory: suiteLayout().state,
        ...(typeof options === 'function' ? await options() : options),
      });
      site = new Site(cluster, '');
      site = new Site(cluster, await site.push(image));
    });

    afterEach(async () => {
      if (!site) return;
      const { cluster } = site;
      // A busy machine's slurmd may miss a message of slurmctld, which sends it again only later.
      await cluster.waitUntilIdle(60_000);
      let left = '';
      await waitFor(() => (left = describeLeftovers(cluster)) === '', {
        failure: 'x',
        timeoutMs: 10_000,
      }).catch(() => assert.fail(`left behind:\n${left}`));
    });

    after(async () => {
      await site?.cluster.stop();
    });

    define(() => {
      assert(site, 'the cluster runs only while its tests do');
      return site;
    });
  });
};
