/** Private images: stowage asks stowage-enter for the user's login, for the daemon and for itself. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync } from 'node:fs';

import { FaultRegistry } from '../support/fault-registry.js';
import { TestDaemon } from '../support/test-daemon.js';
import { ordinaryUser } from '../unpack/sandbox.js';
import { eachInCliSandbox, tarOf } from './sandbox.js';

const layer = tarOf({ 'etc/motd': 'for those who may\n' });
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('stowage with a private image', () => {
  const sandbox = eachInCliSandbox();
  let daemon: TestDaemon;
  let registry: FaultRegistry;
  let image: string;
  let digest: string;
  let config: string;

  beforeEach(async () => {
    daemon = await TestDaemon.start();
    ({ registry } = daemon);
    chmodSync(daemon.directory, 0o711);
    digest = registry.addImage('team/app', '1', { layers: [layer] });
    image = `${registry.host}/team/app:1`;
    registry.requireBasic('ada', 'pass word');
    config = sandbox().write(
      'stowage.toml',
      `[listen]\nsocket = "${daemon.directory}/api.sock"\n[registries."${registry.host}"]\nhttp = true\n`,
    );
  });
  afterEach(() => daemon.end());

  /** A stowage-enter that answers so, and notes what it was asked. */
  function answering(answer: object | string): Record<string, string> {
    const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
    const program = sandbox().write(
      'enter',
      `#!/bin/sh\necho "$@" >>'${sandbox().path('.asked')}'\necho "$HOME" >'${sandbox().path('.home')}'\n` +
        `cat <<'END'\n${text}\nEND\n`,
    );
    chmodSync(program, 0o755);
    sandbox().giveToUser();
    return { STOWAGE_ENTER: program };
  }

  const login = (password = 'pass word') => ({
    username: 'ada',
    password: base64(password),
    identity_token: '',
    source: '~/.docker/config.json',
    problem: '',
  });
  const nothing = { username: '', password: '', identity_token: '', source: '', problem: '' };

  const commands = {
    pull: () => ['pull', '--quiet', '--config', config, image],
    unpack: () => ['unpack', '--quiet', '--config', config, image, 'tree'],
    inspect: () => ['inspect', '--quiet', '--config', config, image],
  };

  for (const [name, args] of Object.entries(commands)) {
    it(`${name}: logs in with what stowage-enter says, asked once as the user`, async () => {
      const { status, stdout, stderr } = await sandbox().run(args(), answering(login()));
      assert.deepEqual([status, stderr], [0, '']);
      if (name === 'pull') assert.equal(stdout, `${digest}\n`);
      if (name === 'unpack') assert.equal(sandbox().read('tree/etc/motd'), 'for those who may\n');
      if (name === 'inspect') assert.match(stdout, new RegExp(`\ndigest +${digest}\n`));
      assert.equal(sandbox().read('.asked'), `--login ${registry.host} --repository team/app\n`);
      assert.equal(sandbox().read('.home'), `${sandbox().directory}\n`);
    });

    it(`${name}: names user and file when the login is refused, and not the password`, async () => {
      const { status, stdout, stderr } = await sandbox().run(args(), answering(login('wr0ng-secret')));
      assert.match(stderr, /^stowage: [^\n]*ada[^\n]*~\/\.docker\/config\.json[^\n]*\n$/);
      assert.doesNotMatch(stderr, /wr0ng|d3Iwbmctc2VjcmV0/);
      assert.deepEqual([status, stdout], [1, '']);
      assert.ok(!existsSync(sandbox().path('tree')));
    });

    it(`${name}: says how to log in when there is no login`, async () => {
      const { status, stdout, stderr } = await sandbox().run(args(), answering(nothing));
      assert.match(stderr, new RegExp(`^stowage: [^\n]*${registry.host}[^\n]*podman login[^\n]*\n$`));
      assert.deepEqual([status, stdout], [1, '']);
    });

    it(`${name}: says why there is no login though there should be one`, async () => {
      const problem = '~/.docker/config.json is not JSON';
      const { status, stderr } = await sandbox().run(args(), answering({ ...nothing, problem }));
      assert.match(stderr, /^stowage: [^\n]*~\/\.docker\/config\.json is not JSON[^\n]*\n$/);
      assert.equal(status, 1);
    });
  }

  it('takes the login from where podman login put it, and remarks that everybody can read it', async () => {
    const file = sandbox().write(
      'auth.json',
      JSON.stringify({ auths: { [registry.host]: { auth: base64('ada:pass word') } } }),
    );
    const env = { REGISTRY_AUTH_FILE: file };
    chmodSync(file, 0o644);
    sandbox().giveToUser();
    const open = await sandbox().run(['pull', '--config', config, image], env);
    assert.equal(open.stdout, `${digest}\n`, open.stderr);
    assert.match(
      open.stderr,
      /^stowage: everybody can read [^\n]*auth\.json[^\n]*\nstowage: \S+ is on this node\n$/,
    );
    chmodSync(file, 0o600);
    const { status, stdout, stderr } = await sandbox().run(commands.unpack(), env);
    assert.deepEqual([status, stdout, stderr], [0, '', '']);
  });

  it('does not ask for a login when none is needed', async () => {
    const open = await FaultRegistry.start();
    try {
      open.addImage('team/app', '1', { layers: [layer] });
      const free = sandbox().write('free.toml', `[registries."${open.host}"]\nhttp = true\n`);
      const args = ['inspect', '--quiet', '--config', free, `${open.host}/team/app:1`];
      assert.equal((await sandbox().run(args, answering(login()))).status, 0);
      assert.ok(!existsSync(sandbox().path('.asked')));
    } finally {
      await open.stop();
    }
  });

  for (const [what, text] of [
    ['is no JSON', 'Segmentation fault'],
    ['is another object', '{"user":"ada"}'],
    ['is nothing', ''],
  ] as const) {
    it(`goes on without a login, and says why, when the answer ${what}`, async () => {
      const { status, stderr } = await sandbox().run(commands.pull(), answering(text));
      assert.match(stderr, /^stowage: [^\n]*stowage-enter said what stowage does not understand[^\n]*\n$/);
      assert.equal(status, 1);
    });
  }

  it('says what stowage-enter said when it failed, and when it is missing', async () => {
    const program = sandbox().write('enter', '#!/bin/sh\necho "stowage-enter: no home" >&2\nexit 1\n');
    chmodSync(program, 0o755);
    sandbox().giveToUser();
    const failed = await sandbox().run(commands.inspect(), { STOWAGE_ENTER: program });
    assert.match(failed.stderr, /^stowage: [^\n]*stowage-enter: no home[^\n]*\n$/);
    const missing = await sandbox().run(commands.inspect(), { STOWAGE_ENTER: '/nonexistent' });
    assert.match(missing.stderr, /^stowage: [^\n]*stowage-enter is missing[^\n]*\n$/);
    assert.deepEqual([failed.status, missing.status], [1, 1]);
  });

  it('shows no other user of the node what was pulled with a login', async () => {
    assert.equal((await sandbox().run(commands.pull(), answering(login()))).status, 0);
    const { status, stdout } = await sandbox().run(commands.pull(), answering(nothing));
    // The same user, now without login: what was resolved with it is theirs for resolve.ttl.
    assert.deepEqual([status, stdout], [0, `${digest}\n`]);
    if (ordinaryUser) await assert.rejects(daemon.plan({ reference: image }), /login/);
  });
});
