/** Images that a registry shows to some users only: those get them with the login they keep, others never. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

import { nodePaths } from '../cluster/layout.js';
import { allProcesses, commandLine } from '../cluster/proc.js';
import type { RunOptions, RunResult } from '../cluster/run.js';
import { account } from '../cluster/users.js';
import { batch } from './batch.js';
import { clusterSuite, inNewDirectory, type Site } from './cluster-suite.js';
import { forgetImages } from './forget.js';
import { Home } from './home.js';
import { LyingRegistry, type Coveted, type Lie } from './lying-registry.js';
import { basic, PrivateRegistries, type Person } from './private-registries.js';
import { refusal } from './sentences.js';

const motd = 'for the eyes of alice only';
const homes = { 'stow-a': new Home('stow-a'), 'stow-b': new Home('stow-b') };
const [homeA, homeB] = [homes['stow-a'], homes['stow-b']];
const image = (registry: { host: string }): string => `${registry.host}/alice/app:1`;

let registries: PrivateRegistries;
let lying: LyingRegistry;
/** Of the private image. */
let digest: string;

const withPrivateRegistries = async () => {
  registries = await PrivateRegistries.start();
  await registries.pushPrivate(motd);
  const inspect = (...what: string[]): string => {
    const login = ['--tls-verify=false', '--creds', `alice:${registries.alice.password}`];
    return execFileSync('skopeo', ['inspect', ...login, ...what, `docker://${image(registries.passwords)}`], {
      encoding: 'utf8',
    });
  };
  digest = inspect('--format={{.Digest}}').trim();
  const { layers } = JSON.parse(inspect('--raw')) as { layers: Coveted[] };
  const { rootfs } = JSON.parse(inspect('--raw', '--config')) as { rootfs: { diff_ids: string[] } };
  lying = await LyingRegistry.start(layers, rootfs.diff_ids);
  const settings = { ...registries.settings, [lying.host]: { http: true } };
  return { nodes: 1, stowageToml: { registries: settings } };
};

const dockerConfig = (registry: string, login: object): object => ({ auths: { [registry]: login } });
const loginOf = (person: Person): object => ({ auth: basic(person) });

/** A docker credential helper that knows one login. */
const writeHelper = (home: Home, { username, password }: Person): Record<string, string> => {
  // The secret is in a file, as those of real ones are, not in the script that is executed.
  const secret = home.write('.stowage-test/secret', { Username: username, Secret: password });
  home.write(
    '.stowage-test/bin/docker-credential-stowage-test',
    `#!/bin/sh\n[ "$1" = get ] && read -r server && test -n "$server" && cat ${secret}\n`,
    0o700,
  );
  return { PATH: `${home.directory}/.stowage-test/bin:/usr/local/bin:/usr/bin:/bin` };
};

/** Each puts a login for the registry into the home directory and returns what the environment must have. */
const ways: Record<string, (home: Home, registry: string, person: Person) => Record<string, string>> = {
  '~/.docker/config.json': (home, registry, person) => {
    home.write('.docker/config.json', dockerConfig(registry, loginOf(person)));
    return {};
  },
  '~/.config/containers/auth.json': (home, registry, person) => {
    home.write('.config/containers/auth.json', dockerConfig(registry, loginOf(person)));
    return {};
  },
  $REGISTRY_AUTH_FILE: (home, registry, person) => ({
    REGISTRY_AUTH_FILE: home.write('.stowage-test/auth.json', dockerConfig(registry, loginOf(person))),
  }),
  '$XDG_RUNTIME_DIR/containers/auth.json': (home, registry, person) => {
    home.write('.stowage-test/run/containers/auth.json', dockerConfig(registry, loginOf(person)));
    return { XDG_RUNTIME_DIR: `${home.directory}/.stowage-test/run` };
  },
  "enroot's .credentials": (home, registry, { username, password }) => {
    home.write('.config/enroot/.credentials', `machine ${registry} login ${username} password ${password}\n`);
    return {};
  },
  'a credential helper for this registry': (home, registry, person) => {
    home.write('.docker/config.json', { credHelpers: { [registry]: 'stowage-test' } });
    return writeHelper(home, person);
  },
  'a credential helper for all registries': (home, _registry, person) => {
    home.write('.docker/config.json', { credsStore: 'stowage-test' });
    return writeHelper(home, person);
  },
};

const show = (site: Site, user: keyof typeof homes, what: string, options?: RunOptions): Promise<RunResult> =>
  site.cluster.run(user, `srun --image=${what} cat /etc/motd`, options);

clusterSuite('a private image', withPrivateRegistries, (site) => {
  afterEach(() => Object.values(homes).forEach((home) => home.clear()));
  after(async () => {
    Object.values(homes).forEach((home) => home.clear());
    await lying.stop();
    await registries.end();
  });

  const runsForAlice = async (what: string, env: Record<string, string> = {}): Promise<void> => {
    const { code, stdout, stderr } = await show(site(), 'stow-a', what, { env });
    assert.equal(code, 0, stderr);
    assert.equal(stdout, motd);
  };

  describe('runs with the login from', () => {
    beforeEach(() => forgetImages(site()));

    for (const [way, prepare] of Object.entries(ways))
      it(`${way}, where the registry checks it itself`, async () => {
        await runsForAlice(
          image(registries.passwords),
          prepare(homeA, registries.passwords.host, registries.alice),
        );
      });

    it('~/.docker/config.json, where a token service checks it', async () => {
      ways['~/.docker/config.json']?.(homeA, registries.tokens.host, registries.alice);
      await runsForAlice(image(registries.tokens));
    });

    it('~/.docker/config.json, as an identity token', async () => {
      const login = {
        auth: Buffer.from('alice:').toString('base64'),
        identitytoken: registries.alice.identityToken,
      };
      homeA.write('.docker/config.json', dockerConfig(registries.tokens.host, login));
      await runsForAlice(image(registries.tokens));
      assert.ok(registries.tokenServer.requests.some(({ proof }) => proof === 'refresh_token'));
    });

    it('the files of whoever runs the step, in a batch job', async () => {
      ways['~/.docker/config.json']?.(homeA, registries.passwords.host, registries.alice);
      const { code, stdout } = await site().cluster.run(
        'stow-a',
        `${inNewDirectory} && ${batch(`--output=out --image=${image(registries.passwords)} --wrap='srun cat /etc/motd'`)}; code=$?; cat out; exit $code`,
      );
      assert.equal(code, 0, stdout);
      assert.equal(stdout, motd);
    });
  });

  describe('is refused in one sentence, with what to do,', () => {
    it('without a login', async () => {
      for (const registry of [registries.passwords, registries.tokens])
        refusal(await show(site(), 'stow-b', image(registry)), image(registry), 'n1', /log ?in/);
    });

    it('with a wrong password, naming the user name and the file', async () => {
      const wrong = { ...registries.alice, password: 'guessed' };
      for (const registry of [registries.passwords, registries.tokens]) {
        homeB.write('.docker/config.json', dockerConfig(registry.host, loginOf(wrong)));
        const refused = await show(site(), 'stow-b', image(registry));
        refusal(refused, image(registry), 'n1', 'alice', '.docker/config.json');
        assert.ok(!refused.stderr.includes('guessed'));
      }
    });

    it('with a login that is right but not enough', async () => {
      homeB.write('.docker/config.json', dockerConfig(registries.tokens.host, loginOf(registries.bob)));
      refusal(await show(site(), 'stow-b', image(registries.tokens)), image(registries.tokens), 'n1');
    });

    it('with a login that is right and a name that is wrong, in seconds', async () => {
      homeA.write('.docker/config.json', dockerConfig(registries.passwords.host, loginOf(registries.alice)));
      homeB.write('.docker/config.json', dockerConfig(registries.tokens.host, loginOf(registries.bob)));
      const wrong = [
        ['stow-a', `${registries.passwords.host}/alice/none:1`, 'not found'],
        // The service gives no token for what it does not know.
        ['stow-b', `${registries.tokens.host}/bob/none:1`, 'check the spelling'],
      ] as const;
      for (const [user, name, why] of wrong) {
        const srun = await show(site(), user, name);
        refusal(srun, name, 'n1', why);
        const job = batch(`--output=out --image=${name} --wrap='srun cat /etc/motd'`);
        const sbatch = await site().cluster.run(
          user,
          `${inNewDirectory} && ${job}; code=$?; cat out >&2; exit $code`,
        );
        refusal(sbatch, name, 'n1', why);
        for (const { ms } of [srun, sbatch]) assert.ok(ms < 10_000, `it took ${Math.round(ms)} ms`);
      }
    });

    it('with a file of logins that is none', async () => {
      homeB.write('.docker/config.json', '{"auths":');
      refusal(
        await show(site(), 'stow-b', image(registries.passwords)),
        image(registries.passwords),
        '.docker/config.json',
      );
    });

    it("with a login of enroot's that does not say the port", async () => {
      const { host } = registries.passwords;
      const [machine] = host.split(':');
      const { username, password } = registries.alice;
      homeB.write(
        '.config/enroot/.credentials',
        `machine ${machine} login ${username} password ${password}\n`,
      );
      refusal(
        await show(site(), 'stow-b', image(registries.passwords)),
        image(registries.passwords),
        '~/.config/enroot/.credentials',
        `'machine ${host}'`,
      );
    });

    it('with a credential helper that fails', async () => {
      homeB.write('.docker/config.json', { credsStore: 'stowage-test-missing' });
      refusal(
        await show(site(), 'stow-b', image(registries.passwords)),
        /docker-credential-stowage-test-missing/,
      );
    });
  });

  describe('that one user has on the node is not given to another', () => {
    before(async () => {
      for (const registry of [registries.passwords, registries.tokens]) {
        homeA.write('.docker/config.json', dockerConfig(registry.host, loginOf(registries.alice)));
        await runsForAlice(image(registry));
      }
    });

    const isKept = async (what: string, ...parts: (string | RegExp)[]): Promise<void> => {
      const result = await show(site(), 'stow-b', what);
      refusal(result, ...parts);
      assert.ok(!result.stderr.includes(motd));
    };

    it('by its tag', async () => {
      for (const registry of [registries.passwords, registries.tokens])
        await isKept(image(registry), image(registry));
    });

    it('by its digest', async () => {
      for (const registry of [registries.passwords, registries.tokens])
        await isKept(`${registry.host}/alice/app@${digest}`, digest);
    });

    it('by its digest, in a repository that the other may read', async () => {
      homeB.write('.docker/config.json', dockerConfig(registries.tokens.host, loginOf(registries.bob)));
      await isKept(`${registries.tokens.host}/bob/app@${digest}`, digest);
    });

    it('by --image-pull=never', async () => {
      const result = await site().cluster.run(
        'stow-b',
        `srun --image-pull=never --image=${image(registries.passwords)} cat /etc/motd`,
      );
      refusal(result, image(registries.passwords), 'n1');
    });

    const lies: Lie[] = ['has them', 'has their first byte', 'has not got them'];
    for (const lie of lies)
      it(`by an image of the same layers, from a registry that ${lie}`, async () => {
        lying.lie = lie;
        await isKept(`${lying.host}/bob/app:1`, `${lying.host}/bob/app:1`);
      });

    it('by reading the store or the tree of the other', async () => {
      const { store, trees } = nodePaths(`${site().cluster.layout.nodes}/n1`);
      for (const directory of [store, `${trees}/${account('stow-a').uid}`]) {
        const { code } = await site().cluster.run('stow-b', ['ls', directory]);
        assert.notEqual(code, 0, directory);
      }
    });

    it('and is still there for the one who may', async () => {
      homeA.write('.docker/config.json', dockerConfig(registries.passwords.host, loginOf(registries.alice)));
      registries.passwords.forgetRequests();
      await runsForAlice(image(registries.passwords));
      assert.deepEqual(await registries.passwords.settledRequests(/blobs/), []);
    });
  });

  it('leaves no secret in a log, in what Slurm shows, in a command line or in the store', async () => {
    await forgetImages(site());
    const seen: string[] = [];
    // Sampled for as long as the step runs.
    const watch = setInterval(() => seen.push(...allProcesses().map(({ pid }) => commandLine(pid))), 20);
    try {
      for (const [way, prepare] of Object.entries(ways)) {
        const env = prepare(homeA, registries.passwords.host, registries.alice);
        await runsForAlice(image(registries.passwords), env);
        homeA.clear();
        seen.push(way);
      }
      homeA.write('.docker/config.json', dockerConfig(registries.tokens.host, loginOf(registries.alice)));
      const job = site().cluster.run(
        'stow-a',
        `srun --image=${image(registries.tokens)} sh -c 'cat /etc/motd; sleep 1'`,
      );
      await new Promise((resolve) => setTimeout(resolve, 700));
      for (const command of ['squeue -o %all', 'scontrol -d show job', 'scontrol -d show step'])
        seen.push((await site().cluster.run('stow-b', command)).stdout);
      assert.equal((await job).stdout, motd);
      homeB.write(
        '.docker/config.json',
        dockerConfig(registries.tokens.host, loginOf({ ...registries.bob, username: 'nobody' })),
      );
      await show(site(), 'stow-b', image(registries.tokens));
    } finally {
      clearInterval(watch);
    }
    const { logs, nodes } = site().cluster.layout;
    const { store } = nodePaths(`${nodes}/n1`);
    for (const directory of [logs, store])
      for (const name of readdirSync(directory, { recursive: true, withFileTypes: true }))
        if (name.isFile()) seen.push(readFileSync(`${name.parentPath}/${name.name}`, 'latin1'));
    const all = seen.join('\n');
    registries
      .secrets()
      .forEach((secret, number) => assert.ok(!all.includes(secret), `secret ${number} is seen`));
    assert.ok(all.includes('stowage-enter'), 'the samples show the helper');
  });
});
