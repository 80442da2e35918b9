/** --image-mount as ranks see it. What arrives of it on a node is in options.test.ts. */
import assert from 'node:assert/strict';

import { busyboxImageWith } from '../support/busybox-image.js';
import { clusterSuite, inNewDirectory } from './cluster-suite.js';
import { mountsIn, reporting, reportIn, type SeenMount } from './rank-report.js';
import { refusal } from './sentences.js';

/** Links that lead to other places of the image, to the kernel's, and nowhere near the host. */
const withLinks = async (root: string): Promise<void> => {
  const { mkdirSync, symlinkSync } = await import('node:fs');
  mkdirSync(`${root}/srv/data`, { recursive: true });
  symlinkSync('/srv/data', `${root}/absolute`);
  symlinkSync('../../../../srv/climbed', `${root}/srv/climbing`);
  mkdirSync(`${root}/srv/climbed`);
  symlinkSync('/proc', `${root}/kernel`);
  symlinkSync('../sys/kernel', `${root}/srv/settings`);
  symlinkSync('/', `${root}/top`);
};

/** Runs in a new directory with what there is to be mounted; "$name" is the directory's below the home directory. */
const withData = [
  inNewDirectory,
  'name=${dir##*/}; odd="a b,c:d\\\\e"',
  'mkdir data other here "$odd"',
  'echo of the host >data/file; echo other >other/file; echo odd >"$odd/file"',
].join('\n');

clusterSuite('--image-mount', { nodes: 1 }, (site) => {
  let env: Record<string, string> = {};

  before(async () => {
    env = { IMAGE: await site().push(await busyboxImageWith('linked', withLinks)) };
  });

  describe('shows a rank', () => {
    const asked = [
      '/usr/share/zoneinfo',
      '../data:/plain,./:/started',
      '"~/$name/data:/home-relative"',
      "'../a b\\,c\\:d\\\\e:/odd\\: one\\, two'",
      '/dev:/devices:ro+nosuid+noexec',
      '/dev:/writable',
      '../data:/flagged:nosuid+nodev+noexec',
      '../data:/private:private',
      '/dev:/shared:rshared',
      'tmpfs:/scratch:size=1M+mode=1777',
      'umount:/tmp',
      '/etc/shadow:/shadow',
      '../data/file:/etc/motd',
      '../data:/var/lib/../../../climbed',
      '../data:/absolute/below',
      '../data:/srv/climbing/below',
      '../data:/twice,../other:/twice,../other:/again,../data:/again',
    ];
    const commands = {
      mounts: 'cat /proc/self/mountinfo',
      contents:
        'cat /plain/file /home-relative/file "/odd: one, two/file" /climbed/file /srv/data/below/file /srv/climbed/below/file',
      started: 'echo made >/started/made',
      'below read-only': 'touch /devices/shm/new',
      writable: 'test -w /writable/shm && echo yes',
      scratch: 'stat -c "%a %u" /scratch; dd if=/dev/zero of=/scratch/file bs=1024k count=2',
      shadow: 'test -f /shadow && cat /shadow',
      motd: 'cat /etc/motd',
      twice: 'cat /twice/file /again/file',
      noexec: 'cp /bin/busybox /flagged/true; /flagged/true; rm /flagged/true',
    };
    let report = new Map<string, string>();
    let mounts: SeenMount[] = [];
    let made = '';
    const of = (target: string): SeenMount => {
      const found = mounts.findLast((mount) => mount.target === target);
      assert.ok(found, `nothing is mounted on ${target}`);
      return found;
    };

    before(async () => {
      const options = asked.map((text) => `--image-mount=${text}`).join(' ');
      const printed = await site().output(
        `${withData}; cd here; srun --image=$IMAGE ${options} sh -c '${reporting(commands)}'; echo == made; cat made`,
        { env },
      );
      report = reportIn(printed);
      mounts = mountsIn(report.get('mounts') ?? '');
      made = report.get('made') ?? '';
    });

    it('a directory under its own name', () => assert.ok(of('/usr/share/zoneinfo')));

    it('relative sources from where the option was written, and from the home directory', () => {
      assert.equal(made, 'made');
      assert.match(report.get('contents') ?? '', /^(of the host\n){2}odd\n/);
    });

    it('paths with spaces, commas, colons and backslashes', () => assert.ok(of('/odd: one, two')));

    it('targets with ".." and through links of the image inside the image', () => {
      for (const target of ['/climbed', '/srv/data/below', '/srv/climbed/below']) assert.ok(of(target));
      assert.match(report.get('contents') ?? '', /odd\n(of the host\n?){3}$/);
    });

    it('all that lies below a read-only directory read-only', () => {
      for (const target of ['/devices', '/devices/shm', '/devices/pts'])
        for (const flag of ['ro', 'nosuid', 'noexec']) assert.ok(of(target).options.includes(flag), target);
      assert.match(report.get('below read-only') ?? '', /Read-only file system/);
      assert.equal(report.get('writable'), 'yes');
    });

    it('flags that keep the kernel from executing', () => {
      for (const flag of ['rw', 'nosuid', 'nodev', 'noexec'])
        assert.ok(of('/flagged').options.includes(flag), flag);
      assert.match(report.get('noexec') ?? '', /Permission denied/);
    });

    it('the propagation that was named', () => {
      assert.deepEqual(of('/private').propagation, []);
      for (const target of ['/shared', '/shared/shm'])
        assert.ok(of(target).propagation.includes('shared'), target);
      for (const { target, propagation } of mounts)
        assert.equal(propagation.includes('shared'), /^\/shared(\/|$)/.test(target), target);
    });

    it('an empty file system in memory, of its own, no larger than asked for', () => {
      assert.equal(of('/scratch').type, 'tmpfs');
      assert.ok(of('/scratch').superOptions.includes('size=1024k'));
      assert.match(report.get('scratch') ?? '', /^1777 [1-9]\d*\n.*No space left/);
    });

    it('nothing where it was taken away', () =>
      assert.ok(!mounts.some(({ target }) => target === '/tmp' || target.startsWith('/tmp/'))));

    it('a file that it may not read, which it cannot read', () => {
      assert.ok(of('/shadow'));
      assert.match(report.get('shadow') ?? '', /Permission denied/);
    });

    it('a file in the place of one of the image', () => assert.equal(report.get('motd'), 'of the host'));

    it('one over another in the order in which they were asked for', () => {
      assert.equal(report.get('twice'), 'other\nof the host');
      for (const target of ['/twice', '/again'])
        assert.equal(mounts.filter((mount) => mount.target === target).length, 2);
    });
  });

  describe('refuses on the node, and runs nothing:', () => {
    const kernels = /\/(proc|sys)\b.*kernel's/;
    const bad: [string, string, RegExp][] = [
      ['a source that is missing', './missing:/x', /'\S*\/missing' on this node: No such file or directory/],
      ['a source out of reach', '/root/x:/x', /'\/root\/x' on this node: Permission denied/],
      ['a file over a directory', './data/file:/etc', /'\/etc' in the container: only one of them is a/],
      ['a directory over a file', './data:/etc/motd', /'\/etc\/motd' in the container: .*Not a directory/],
      ['a target over /proc', './data:/proc', kernels],
      ['a target below /sys', './data:/sys/fs/cgroup', kernels],
      ['a way back to /proc', './data:/etc/../proc/1', kernels],
      ["a link of the image to the kernel's", './data:/kernel/1', kernels],
      ["a climbing link to the kernel's", './data:/srv/settings', kernels],
      ['/proc taken away', 'umount:/proc', kernels],
      ['a tmpfs over /sys', 'tmpfs:/sys', kernels],
      ['the root directory', './data:/', /"\/" cannot be a target/],
      ['a link to the root directory', './data:/top', /it is the root directory/],
      [
        'to take away what is not mounted',
        'umount:/etc',
        /cannot unmount '\/etc' .*nothing is mounted there/,
      ],
      ['a directory without what is mounted in it', '/dev:/x:bind', /only together with them \(rbind\)/],
      ['the second of two', './data:/x,./missing:/y', /'\S*\/missing' on '\/y'/],
    ];
    for (const [what, mount, reason] of bad) {
      it(what, async () => {
        const command = `${withData}; srun --image=$IMAGE --image-mount=${mount} echo ran`;
        refusal(await site().run(command, { env }), '--image-mount: ', reason);
      });
    }
  });
});
