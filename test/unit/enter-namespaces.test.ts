import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';

import { stowage } from '#proto';

import { type Container, gid, uid } from '../support/enter-sandbox.js';
import { eachPlanned, type Plan } from '../support/planned-container.js';

const { NAMESPACE_NET: net, NAMESPACE_IPC: ipc, NAMESPACE_UTS: uts } = stowage.v1.Namespace;
const kernel = ['/proc', '/sys', '/dev'].map((path) => ({ source: path, target: path }));

/** What a rank prints in a container that has that namespace of its own, as the ordinary user. */
const inside = (container: Container, kind: 'net' | 'uts', ...argv: string[]): string => {
  const target = ['--target', String(container.holder), '--user', '--mount', `--${kind}`];
  const user = ['--reuid', String(uid), '--regid', String(gid), '--clear-groups'];
  const enter = [...user, 'nsenter', ...target, '--preserve-credentials', ...argv];
  const { stdout, stderr } = spawnSync('setpriv', enter, { encoding: 'utf8' });
  assert.equal(stderr, '');
  return stdout;
};
const host = [
  { source: '/usr', target: '/usr' },
  { source: '/bin', target: '/bin' },
  { source: '/lib', target: '/lib' },
  { source: '/lib64', target: '/lib64', optional: true },
];

describe('stowage-enter, unsharing', () => {
  const planned = eachPlanned();
  const succeed = (plan: Plan) =>
    planned().succeed({ ...plan, mounts: [...kernel, ...host, ...(plan.mounts ?? [])] });
  const namespace = (process: number | string, kind: string) =>
    fs.readlinkSync(`/proc/${process}/ns/${kind}`);

  for (const [unshare, letters] of [
    [[], ''],
    [[net], 'n'],
    [[ipc], 'i'],
    [[uts], 'u'],
    [[uts, net, ipc, net], 'niu'],
  ] as const) {
    it(`gives a step the namespaces that it is to have, and tells the ranks: '${letters}'`, async () => {
      const { holder, entry } = await succeed({ unshare: [...unshare] });
      assert.equal(entry, letters);
      for (const kind of ['net', 'ipc', 'uts'] as const)
        assert.equal(
          namespace(holder, kind) !== namespace('self', kind),
          letters.includes(kind[0] ?? '-'),
          kind,
        );
    });
  }

  it('refuses one that it does not know', async () => {
    await planned().fail(/stowaged asks for a namespace that stowage-enter does not know$/, {
      unshare: [7 as never],
    });
  });

  describe('the network', () => {
    it('leaves a loopback interface that is up', async () => {
      const container = await succeed({ unshare: [net] });
      const flags = inside(container, 'net', 'cat', '/sys/class/net/lo/flags');
      const up = 1;
      assert.equal(Number(flags) & up, up);
      assert.match(inside(container, 'net', 'cat', '/proc/net/fib_trie'), /127\.0\.0\.1/);
    });

    it('is what /proc and /sys show, with the control groups still there', async () => {
      const container = await succeed({ unshare: [net] });
      const ofNode = fs.readdirSync('/sys/class/net').filter((name) => name !== 'lo');
      const shown =
        inside(container, 'net', 'ls', '/sys/class/net') + inside(container, 'net', 'cat', '/proc/net/dev');
      assert.match(shown, /^lo$[^]*\blo:/m);
      assert.ok(ofNode.length > 0);
      for (const name of ofNode) assert.ok(!shown.includes(name), shown);
      for (const flag of ['nosuid', 'nodev', 'noexec'])
        assert.ok(container.mounts.get('/sys')?.options.includes(flag));
      assert.deepEqual(fs.readdirSync(`${container.root}/sys/fs/cgroup`), fs.readdirSync('/sys/fs/cgroup'));
    });
  });

  describe('IPC', () => {
    it('hides the shared memory and the message queues of the node', async () => {
      const name = `/dev/shm/stowage-test-${process.pid}`;
      fs.writeFileSync(name, '');
      try {
        const { mounts, root } = await succeed({ unshare: [ipc] });
        assert.deepEqual(fs.readdirSync(`${root}/dev/shm`), []);
        assert.equal(fs.statSync(`${root}/dev/shm`).mode & 0o7777, 0o1777);
        assert.equal(mounts.get('/dev/shm')?.type, 'tmpfs');
        if (fs.existsSync('/dev/mqueue')) {
          assert.equal(mounts.get('/dev/mqueue')?.type, 'mqueue');
          assert.deepEqual(fs.readdirSync(`${root}/dev/mqueue`), []);
        }
      } finally {
        fs.rmSync(name);
      }
    });

    it('does not hide what the user asked to be mounted there', async () => {
      const { root } = await succeed({
        unshare: [ipc],
        mounts: [{ origin: '--image-mount', source: planned().data, target: '/dev/shm' }],
      });
      assert.ok(fs.existsSync(`${root}/dev/shm/file`));
    });

    it('is as without it in a container that has no /dev', async () => {
      const { entry } = await planned().succeed({ unshare: [ipc, net] });
      assert.equal(entry, 'ni');
    });
  });

  it('has the host name of the node, until somebody changes it', async () => {
    const container = await succeed({ unshare: [uts], rootUser: true });
    const name = fs.readFileSync('/proc/sys/kernel/hostname', 'utf8');
    assert.equal(inside(container, 'uts', 'hostname'), name);
    assert.equal(inside(container, 'uts', 'sh', '-c', 'hostname stowage-test && hostname'), 'stowage-test\n');
    assert.equal(fs.readFileSync('/proc/sys/kernel/hostname', 'utf8'), name);
  });
});
