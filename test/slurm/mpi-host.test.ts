import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';

import { parsePingPong, type PingPong } from '../bench/mpi/pingpong.js';
import type { Suite } from '../support/debian-base.js';
import { debianImage } from '../support/debian-image.js';
import { laySiteMpi } from '../support/site-mpi.js';
import { clusterSuite } from './cluster-suite.js';
import { mpichTestMs, outputOfMpich } from './mpich.js';

const base = '/var/lib/stowage-test';
const mpich = 'libmpich.so.12';
const inside = '/opt/host/mpi';
const library = `/usr/lib/x86_64-linux-gnu/${mpich}`;

const updateCache = {
  hookName: 'createContainer',
  path: '/usr/bin/nvidia-cdi-hook',
  args: ['nvidia-cdi-hook', 'update-ldcache', '--folder', inside],
};

let directory = '';

/** CDI devices of a site with the MPI of Debian 12 and that of 13 on its nodes. */
const devices = () => {
  const whole = (hostPath: string) => ({
    mounts: [{ hostPath, containerPath: inside, options: ['ro', 'rbind', 'nosuid', 'nodev'] }],
    hooks: [updateCache],
  });
  const over = (hostPath: string) => ({ mounts: [{ hostPath, containerPath: library, options: ['ro'] }] });
  return [
    { name: 'host', containerEdits: { ...whole(`${directory}/bookworm`), env: ['MPI_OF=site'] } },
    { name: 'new', containerEdits: whole(`${directory}/trixie`) },
    { name: 'other', containerEdits: over(`${directory}/openmpi/libmpi.so.40`) },
  ];
};

clusterSuite(
  "the host's MPI in the place of the image's",
  async () => {
    mkdirSync(base, { recursive: true });
    directory = mkdtempSync(`${base}/mpi-`);
    chmodSync(directory, 0o755);
    mkdirSync(`${directory}/cdi`);
    const spec = { cdiVersion: '0.6.0', kind: 'site.example/mpi', devices: devices() };
    writeFileSync(`${directory}/cdi/mpi.json`, JSON.stringify(spec));
    return { ownNetworks: true, stowageToml: { cdi: { directories: [`${directory}/cdi`] } } };
  },
  (site) => {
    const images = new Map<Suite, string>();

    before(async function () {
      this.timeout(1_800_000);
      for (const suite of ['bookworm', 'trixie'] as const) {
        const image = await debianImage(undefined, suite);
        images.set(suite, await site().push(image));
        await laySiteMpi(image, mpich, `${directory}/${suite}`);
        if (suite === 'bookworm') await laySiteMpi(image, 'libmpi.so.40', `${directory}/openmpi`);
      }
    });
    after(() => rmSync(directory, { recursive: true, force: true }));

    const srun = (where: string, device: string, suite: Suite, program: string): string =>
      `srun ${where} --mpi=pmi2 --image=${images.get(suite) ?? ''} ${device} ${program}`;
    const pingPong = async (where: string, device: string): Promise<PingPong> =>
      parsePingPong(await site().output(srun(where, device, 'trixie', 'pingpong-mpich 262144')));
    const paths = ({ ranks }: PingPong): string[] => ranks.map(({ path }) => path);
    const versions = ({ ranks }: PingPong): string[] =>
      ranks.map(({ library: name }) => name.replace(/^MPICH-Version:-*/, ''));

    const host = '--image-device=site.example/mpi=host';

    it("is what the image's program runs with, by --image-device=site.example/mpi=host", async () => {
      const [own, swapped] = [await pingPong('-N1 -n2', ''), await pingPong('-N1 -n2', host)];
      assert.deepEqual(paths(own), Array(2).fill(`/lib/x86_64-linux-gnu/${mpich}`));
      assert.deepEqual(paths(swapped), Array(2).fill(`${inside}/${mpich}`));
      assert.match(versions(own).join(' '), /^4\.[2-9]\S* 4\.[2-9]\S*$/);
      assert.match(versions(swapped).join(' '), /^4\.0\S* 4\.0\S*$/);
      // UCX's plugin for copies within a node came along.
      assert.ok(swapped.copies.reads > 0 && swapped.copies.bytes > 0, JSON.stringify(swapped.copies));
    });

    it('carries four ranks on two nodes', async function () {
      this.timeout(mpichTestMs);
      const command = srun(
        '-N2 -n4 --ntasks-per-node=2',
        host,
        'trixie',
        "sh -c 'hello-mpich; echo MPI of $MPI_OF'",
      );
      const printed = await outputOfMpich(site(), command);
      assert.equal(printed.match(/ size=4 sum=6 .*Debian GNU\/Linux 13/g)?.length, 4, printed);
      assert.equal(printed.match(/^MPI of site$/gm)?.length, 4, printed);
    });

    const refuses = async (device: string, suite: Suite, sentence: RegExp): Promise<void> => {
      const { code, stdout, stderr } = await site().run(
        srun('-N2 -n2', `--image-device=site.example/mpi=${device}`, suite, 'pingpong-mpich 64'),
      );
      assert.notEqual(code, 0);
      assert.equal(stdout, '');
      assert.match(stderr, sentence);
    };

    it('is refused where the image has too old a C library for it', () =>
      refuses(
        'new',
        'bookworm',
        /device site\.example\/mpi=new brings \/opt\/host\/mpi\/lib\S+, which needs GLIBC_2\.(?:3[789]|4\d), and the image has GLIBC_2\.36; use an image of a newer distribution, or leave the device out/,
      ));

    it('is refused where it is an MPI of another kind', () =>
      refuses(
        'other',
        'trixie',
        /device site\.example\/mpi=other puts libmpi\.so\.40 in the place of the image's \S+\/libmpich\.so\.12, which is libmpich\.so\.12: programs that were built with one cannot use the other/,
      ));
  },
);
