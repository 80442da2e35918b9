import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import type { stowage } from '#proto';

import type { PrepareRequestMessage } from '../../wrapper/rpc/definitions.js';
import { eachInEnterSandbox, endOf, type Outcome } from '../support/enter-sandbox.js';
import { listenGrpc, type PrepareCall, welcome } from '../support/fake-daemon.js';
import { ordinaryUser, until } from '../unpack/sandbox.js';

type Login = stowage.v1.Login.$Properties;

const registry = 'registry.example';
const none = { username: '', password: '', identityToken: '', source: '', problem: '' };

const auths = (entries: Record<string, object>): string => JSON.stringify({ auths: entries });
const withPassword = (username: string, password: string): object => ({
  auth: Buffer.from(`${username}:${password}`).toString('base64'),
});

describe("stowage-enter, looking for the user's login", () => {
  const sandbox = eachInEnterSandbox();
  const at = (name: string): string => `${sandbox().directory}/${name}`;

  const put = (name: string, content: string, mode = 0o600): string => {
    fs.mkdirSync(path.dirname(at(name)), { recursive: true });
    fs.writeFileSync(at(name), content, { mode });
    fs.chmodSync(at(name), mode);
    sandbox().giveToUser(at(name));
    return at(name);
  };

  /** docker-credential-NAME, in the PATH of the job. */
  const putProgram = (name: string, script: string): void => {
    put(`bin/docker-credential-${name}`, `#!/bin/sh\n${script}\n`, 0o755);
  };

  /** All places in the sandbox: nothing of whoever runs the tests is looked at. */
  const environment = (): Record<string, string> => ({
    PATH: `${at('bin')}:/usr/bin:/bin`,
    XDG_RUNTIME_DIR: at('runtime'),
    XDG_CONFIG_HOME: at('config'),
    DOCKER_CONFIG: at('docker'),
    ENROOT_CONFIG_PATH: at('enroot'),
  });

  /** Asks for logins in the call of a step, and then ends it. */
  const askDuringStep = async (
    wanted: readonly { registry: string; repository: string }[] = [{ registry, repository: 'team/app' }],
    further: Record<string, string> = {},
  ): Promise<{ logins: Login[]; outcome: Outcome }> => {
    const logins: Login[] = [];
    const serve = async (call: PrepareCall): Promise<void> => {
      call.write(welcome);
      for (const loginWanted of wanted) {
        call.write({ loginWanted });
        const [request] = (await once(call, 'data')) as [PrepareRequestMessage];
        assert.ok(request.login);
        logins.push(request.login);
      }
      call.emit('error', { code: status.PERMISSION_DENIED, details: 'enough' });
    };
    await sandbox().serve(listenGrpc(sandbox().socket, (call) => void serve(call)));
    const outcome = await sandbox().enter({ environment: { ...environment(), ...further } });
    assert.equal(outcome.reply, 'Eenough\0');
    return { logins, outcome };
  };

  const asText = (login: Login | undefined): object => ({
    username: login?.username,
    password: Buffer.from(login?.password ?? []).toString('latin1'),
    identityToken: Buffer.from(login?.identityToken ?? []).toString('latin1'),
    source: login?.source,
    problem: login?.problem,
  });

  /** The one login for team/app in the registry. */
  const loginOf = async (further: Record<string, string> = {}): Promise<object> => {
    const { logins, outcome } = await askDuringStep(undefined, further);
    assert.equal(logins[0]?.registry, registry);
    assert.equal(outcome.stderr, '');
    return asText(logins[0]);
  };

  it('says that there is none', async () => {
    assert.deepEqual(await loginOf(), none);
  });

  it('finds one in each of the places, and takes the first', async () => {
    const places: [string, string][] = [
      ['enroot/.credentials', `machine ${registry} login enroot password e`],
      ['docker/config.json', auths({ [registry]: withPassword('docker', 'd') })],
      ['config/containers/auth.json', auths({ [registry]: withPassword('config', 'c') })],
      ['runtime/containers/auth.json', auths({ [registry]: withPassword('runtime', 'r') })],
      ['named.json', auths({ [registry]: withPassword('named', 'n') })],
    ];
    // From the last to the first: each wins over those before.
    for (const [name, content] of places) {
      const source = put(name, content);
      const [username] = name.split(/[/.]/);
      const found = await loginOf(username === 'named' ? { REGISTRY_AUTH_FILE: source } : {});
      const password = username?.[0];
      assert.deepEqual(found, { ...none, username, password, source }, name);
      fs.rmSync(sandbox().socket);
    }
  });

  it('goes on where a file has nothing for this registry', async () => {
    put('runtime/containers/auth.json', auths({ 'other.example': withPassword('a', 'b') }));
    put('config/containers/auth.json', '');
    const source = put('docker/config.json', auths({ [`${registry}/team`]: withPassword('c', 'd') }));
    assert.deepEqual(await loginOf(), { ...none, username: 'c', password: 'd', source });
  });

  it('finds what was kept under the port of https, which stowaged does not name', async () => {
    put('docker/config.json', auths({ 'registry.example.org:443': withPassword('ann', 'a') }));
    const wanted = [{ registry: 'registry.example.org', repository: 'team/app' }];
    const { logins } = await askDuringStep(wanted);
    assert.equal(logins[0]?.username, 'ann');
  });

  it('answers for each registry that is asked for, up to eight', async () => {
    put('docker/config.json', auths({ 'https://index.docker.io/v1/': withPassword('hub', 'h') }));
    const wanted = ['docker.io', 'a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => ({
      registry: name,
      repository: 'library/ubuntu',
    }));
    const { logins } = await askDuringStep(wanted);
    assert.deepEqual(
      logins.map(({ username }) => username),
      ['hub', '', '', '', '', '', '', ''],
    );
  });

  it('does not answer for a ninth', async () => {
    await sandbox().serve(
      listenGrpc(sandbox().socket, (call) => {
        call.write(welcome);
        for (let i = 0; i < 9; i++) call.write({ loginWanted: { registry: `r${i}`, repository: 'a' } });
      }),
    );
    const { reply } = await sandbox().enter({ environment: environment() });
    assert.equal(reply, 'Estowaged asked for logins to more than 8 registries\0');
  });

  it('takes a password of any bytes', async () => {
    const auth = Buffer.from('user:\xff\x00:\x01', 'latin1').toString('base64');
    const source = put('docker/config.json', auths({ [registry]: { auth } }));
    assert.deepEqual(await loginOf(), { ...none, username: 'user', password: '\xff\x00:\x01', source });
  });

  it('takes an identity token', async () => {
    const source = put('docker/config.json', auths({ [registry]: { auth: '', identitytoken: 'refresh' } }));
    assert.deepEqual(await loginOf(), { ...none, identityToken: 'refresh', source });
  });

  it('remarks that everybody can read the file', async () => {
    const source = put('docker/config.json', auths({ [registry]: withPassword('a', 'b') }), 0o644);
    const { outcome } = await askDuringStep();
    assert.equal(
      outcome.stderr,
      `stowage: node1: registry.example/team/app:1: everybody can read the passwords in ${source}; ` +
        `run 'chmod 600 ${source}'\n`,
    );
  });

  if (ordinaryUser) {
    it('calls what is in the home directory ~', async () => {
      put('home/.docker/config.json', auths({ [registry]: withPassword('a', 'b') }));
      const { DOCKER_CONFIG: _, ...rest } = environment();
      await sandbox().serve(
        listenGrpc(sandbox().socket, (call) => {
          call.write(welcome);
          call.write({ loginWanted: { registry, repository: 'a' } });
          call.once('data', (request: PrepareRequestMessage) =>
            call.emit('error', { code: status.NOT_FOUND, details: String(request.login?.source) }),
          );
        }),
      );
      const { reply } = await sandbox().enter({ environment: rest });
      assert.equal(reply, 'E~/.docker/config.json\0');
    });
  }

  describe('meeting trouble', () => {
    const cases: [string, (name: string) => void, string][] = [
      ['malformed', (name) => void put(name, '{"auths":'), 'is not JSON, in line 1'],
      ['too large', (name) => void put(name, ' '.repeat((1 << 20) + 1)), 'is larger than 1048576 bytes'],
      ['a directory', (name) => void fs.mkdirSync(at(name), { recursive: true }), 'is not a regular file'],
      [
        'a FIFO',
        (name) => {
          fs.mkdirSync(path.dirname(at(name)), { recursive: true });
          assert.equal(spawnSync('mkfifo', ['-m', '666', at(name)]).status, 0);
        },
        'is not a regular file',
      ],
      ['unreadable', (name) => void put(name, '{}', 0), 'cannot be read: Permission denied'],
      [
        'a link to itself',
        (name) => {
          fs.mkdirSync(path.dirname(at(name)), { recursive: true });
          fs.symlinkSync(at(name), at(name));
        },
        'cannot be read: Too many levels of symbolic links',
      ],
    ];
    for (const [what, make, why] of cases) {
      it(`says that a file is ${what}`, async () => {
        make('docker/config.json');
        assert.deepEqual(await loginOf(), { ...none, problem: `${at('docker/config.json')} ${why}` });
      });
    }

    it('says that the file which is named does not exist', async () => {
      assert.deepEqual(await loginOf({ REGISTRY_AUTH_FILE: at('nosuch') }), {
        ...none,
        problem: `${at('nosuch')} does not exist, though $REGISTRY_AUTH_FILE names it`,
      });
    });

    it('goes on all the same, and keeps silent if there is a login elsewhere', async () => {
      put('runtime/containers/auth.json', 'nonsense');
      const source = put('enroot/.credentials', `machine ${registry} login a password b`);
      assert.deepEqual(await loginOf(), { ...none, username: 'a', password: 'b', source });
    });

    it('repeats no secret', async () => {
      put('docker/config.json', '{"auths":{"registry.example":{"auth":s3cret}}}');
      put('enroot/.credentials', `machine ${registry} password s3cret`);
      assert.doesNotMatch(JSON.stringify(await loginOf()), /s3cret/);
    });
  });

  describe('asking a program', () => {
    const source = 'docker-credential-test';
    const config = (): string => put('docker/config.json', JSON.stringify({ credsStore: 'test' }));
    const problem = (why: string): object => ({
      ...none,
      problem: `${at('docker/config.json')} names docker-credential-test, ${why}`,
    });

    it('takes its answer', async () => {
      config();
      putProgram(
        'test',
        'read -r name; test "$1" = get && printf \'{"ServerURL":"x","Username":"u","Secret":"%s"}\' "$name"',
      );
      assert.deepEqual(await loginOf(), { ...none, username: 'u', password: registry, source });
    });

    it('takes a token', async () => {
      config();
      putProgram('test', 'echo \'{"Username":"<token>","Secret":"refresh"}\'');
      assert.deepEqual(await loginOf(), { ...none, identityToken: 'refresh', source });
    });

    it('asks for Docker Hub by both its names', async () => {
      config();
      putProgram(
        'test',
        `read -r name; echo "$name" >>${at('asked')}; echo 'credentials not found in native keychain'; exit 1`,
      );
      fs.writeFileSync(at('asked'), '');
      sandbox().giveToUser(at('asked'));
      await askDuringStep([{ registry: 'docker.io', repository: 'library/ubuntu' }]);
      assert.equal(fs.readFileSync(at('asked'), 'utf8'), 'https://index.docker.io/v1/\ndocker.io\n');
    });

    it('goes on if it knows of none', async () => {
      const file = put(
        'docker/config.json',
        JSON.stringify({ credsStore: 'test', auths: { [registry]: withPassword('a', 'b') } }),
      );
      putProgram('test', "echo 'credentials not found in native keychain'; exit 1");
      assert.deepEqual(await loginOf(), { ...none, username: 'a', password: 'b', source: file });
    });

    it('runs it in the environment of the job, without what is open here', async () => {
      config();
      putProgram(
        'test',
        'printf \'{"Username":"%s","Secret":"%s"}\' "$OF_THE_JOB" "$(ls /proc/self/fd | tr "\\n" " ")"',
      );
      const found = (await loginOf({ OF_THE_JOB: 'yes' })) as { username: string; password: string };
      assert.equal(found.username, 'yes');
      // ls itself has the directory open.
      assert.match(found.password, /^0 1 2 3 ?$/);
    });

    it('says that it is not there', async () => {
      config();
      assert.deepEqual(await loginOf(), problem('which is not installed on this node'));
    });

    for (const [what, script, why] of [
      ['fails', 'echo s3cret; echo s3cret >&2; exit 3', 'it failed (exit status 3)'],
      ['dies', 'kill -SEGV $$', 'it was ended by signal 11 (Segmentation fault)'],
      ['talks nonsense', 'echo s3cret', 'its answer is not JSON with Username and Secret'],
      ['says nothing', 'exit 0', 'its answer is not JSON with Username and Secret'],
      ['does not stop talking', 'exec yes s3cret', 'its answer is longer than 65535 bytes'],
    ] as const) {
      it(`says that it ${what}`, async () => {
        config();
        putProgram('test', script);
        assert.deepEqual(await loginOf(), problem(`which is of no use: ${why}`));
      });
    }

    it('does not wait for one that hangs, and ends it with all that it started', async function () {
      this.timeout(30_000);
      config();
      putProgram('test', `sleep 1000 & echo $! >${at('docker/pid')}; wait`);
      sandbox().giveToUser(at('docker'));
      assert.deepEqual(await loginOf(), {
        ...none,
        problem: 'docker-credential-test has not answered within ten seconds',
      });
      await endOf(Number(fs.readFileSync(at('docker/pid'), 'utf8')));
    });

    it('ends it when the step is cancelled', async () => {
      config();
      putProgram('test', `sleep 1000 & echo $! >${at('docker/pid')}; wait`);
      sandbox().giveToUser(at('docker'));
      await sandbox().serve(
        listenGrpc(sandbox().socket, (call) => {
          call.write(welcome);
          call.write({ loginWanted: { registry, repository: 'a' } });
        }),
      );
      const ended = sandbox().enter({ environment: environment() });
      const pid = await until('the program runs', () => {
        const text = fs.existsSync(at('docker/pid')) ? fs.readFileSync(at('docker/pid'), 'utf8') : '';
        return text.endsWith('\n') ? Number(text) : undefined;
      });
      sandbox().kill();
      await ended;
      await endOf(pid);
    });
  });

  describe('for stowage(1)', () => {
    const args = ['--login', registry, '--repository', 'team/app'];

    it('prints what it found', async () => {
      const source = put('docker/config.json', auths({ [registry]: withPassword('us"er', '\xe4\n') }), 0o644);
      const printed = await sandbox().runAlone(args, environment());
      assert.equal(printed.status, 0);
      assert.deepEqual(JSON.parse(printed.stdout), {
        username: 'us"er',
        password: Buffer.from('\xe4\n').toString('base64'),
        identity_token: '',
        source,
        problem: '',
      });
      assert.match(printed.stderr, /^stowage: everybody can read the passwords in .*\n$/);
    });

    it('prints that there is none', async () => {
      const printed = await sandbox().runAlone(args, environment());
      assert.equal(printed.status, 0);
      assert.deepEqual(Object.values(JSON.parse(printed.stdout) as object), ['', '', '', '', '']);
    });

    it('writes it into no file', async () => {
      const output = fs.openSync(at('output'), 'w');
      const printed = await sandbox().runAlone(args, environment(), output);
      fs.closeSync(output);
      assert.equal(printed.status, 1);
      assert.equal(printed.stderr, 'stowage-enter: --login writes a password, and only into a pipe\n');
      assert.equal(fs.statSync(at('output')).size, 0);
    });
  });
});
