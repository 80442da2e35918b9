import assert from 'node:assert/strict';
import fs from 'node:fs';

import { gid, uid, userName } from '../support/enter-sandbox.js';
import { eachPlanned, type Plan } from '../support/planned-container.js';

describe('stowage-enter, with root in the image', () => {
  const planned = eachPlanned();
  const succeed = (plan: Plan, build?: (root: string) => void) =>
    planned().succeed({ rootUser: true, ...plan }, build);
  const ofRoot = (environment: string[]) =>
    environment.filter((entry) => /^=(?:HOME|USER|LOGNAME)=/.test(entry)).sort();

  it('maps the user to 0, and nobody else to anything, and tells the ranks', async () => {
    const { holder, entry } = await succeed({});
    assert.equal(entry, 'r');
    for (const [map, id] of [
      ['uid_map', uid],
      ['gid_map', gid],
    ] as const)
      assert.deepEqual(fs.readFileSync(`/proc/${holder}/${map}`, 'utf8').trim().split(/\s+/).map(Number), [
        0,
        id,
        1,
      ]);
  });

  it('has the root that the image knows, and not the user', async () => {
    const passwd = 'bin:x:2:2::/bin:\nroot:x:0:0:Charlie:/srv/root:/bin/ash\n';
    const { root, environment } = await succeed({}, (tree) => {
      fs.mkdirSync(`${tree}/etc`);
      fs.writeFileSync(`${tree}/etc/passwd`, passwd);
      fs.writeFileSync(`${tree}/etc/group`, 'root:x:0:root\n');
    });
    assert.equal(
      fs.readFileSync(`${root}/etc/passwd`, 'utf8'),
      'root:x:0:0:Charlie:/srv/root:/bin/ash\nbin:x:2:2::/bin:\n',
    );
    assert.equal(fs.readFileSync(`${root}/etc/group`, 'utf8'), 'root:x:0:root\n');
    assert.ok(fs.statSync(`${root}/srv/root`).isDirectory());
    assert.deepEqual(ofRoot(environment), ['=HOME=/srv/root', '=LOGNAME=root', '=USER=root']);
  });

  it('has one in an image that knows none', async () => {
    const { root, environment } = await succeed({});
    const passwd = fs.readFileSync(`${root}/etc/passwd`, 'utf8');
    assert.equal(passwd, 'root:x:0:0:root:/root:/bin/sh\n');
    assert.ok(!passwd.includes(userName));
    assert.equal(fs.readFileSync(`${root}/etc/group`, 'utf8'), 'root:x:0:\n');
    assert.ok(ofRoot(environment).includes('=HOME=/root'));
  });

  it("keeps root's home inside, whatever the image says", async () => {
    const { data } = planned();
    await succeed({}, (tree) => {
      fs.mkdirSync(`${tree}/etc`);
      fs.symlinkSync(data, `${tree}/out`);
      fs.writeFileSync(`${tree}/etc/passwd`, `root:x:0:0::${'/..'.repeat(9)}${data}/home:/bin/sh\n`);
    });
    assert.deepEqual(fs.readdirSync(data), ['file']);
  });

  it('leaves HOME and the like as the plan says', async () => {
    const { environment } = await succeed({ environment: [{ name: 'HOME', value: '/elsewhere' }] });
    assert.deepEqual(ofRoot(environment), ['=HOME=/elsewhere', '=LOGNAME=root', '=USER=root']);
  });

  it('leaves HOME and the like alone for everybody else', async () => {
    const { environment, entry } = await succeed({ rootUser: false });
    assert.deepEqual([ofRoot(environment), entry], [[], '']);
  });

  for (const [what, environment, warning] of [
    ['ranks over PMIx', { PMIX_RANK: '0', SLURM_STEP_NUM_TASKS: '2' }, /waits forever as root; .*--mpi=pmi2/],
    ['a rank alone', { PMIX_RANK: '0', SLURM_STEP_NUM_TASKS: '1' }, /^$/],
    ['ranks without PMIx', { SLURM_STEP_NUM_TASKS: '2' }, /^$/],
  ] as const)
    it(`${warning.source === '^$' ? 'does not warn' : 'warns'} ${what}`, async () => {
      await planned().serve({ rootUser: true });
      const { stderr } = await planned().sandbox.enter({ environment });
      assert.match(stderr, warning);
    });

  describe("of an image with apt's configuration", () => {
    const setting = '/etc/apt/apt.conf.d/99stowage-root';
    const build = (tree: string) => void fs.mkdirSync(`${tree}/etc/apt`, { recursive: true });

    it('tells apt to stay root, in the layer of the step', async () => {
      const tree = await planned().serve({ rootUser: true }, build);
      const { root } = await planned().sandbox.succeed();
      assert.match(fs.readFileSync(`${root}${setting}`, 'utf8'), /^APT::Sandbox::User "root";$/m);
      assert.ok(!fs.existsSync(`${tree}${setting}`));
    });

    it('does not without root, or without apt', async () => {
      const { root } = await succeed({ rootUser: false }, build);
      assert.ok(!fs.existsSync(`${root}${setting}`));
    });

    it('writes no such file to a directory of the host', async () => {
      const { data } = planned();
      fs.mkdirSync(`${data}/apt`);
      planned().sandbox.giveToUser(data);
      await succeed({ mounts: [{ origin: '--image-mount', source: data, target: '/etc' }] }, build);
      assert.deepEqual(fs.readdirSync(`${data}/apt`), []);
    });
  });
});
