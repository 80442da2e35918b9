import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { stowage } from '#proto';

import type { PrepareRequestMessage, ReadSettingsResponseMessage } from '../../wrapper/rpc/definitions.js';
import { type EnterOptions, eachInEnterSandbox, image } from '../support/enter-sandbox.js';
import { listenGrpc, type PrepareCall, welcome } from '../support/fake-daemon.js';
import { TestDaemon } from '../support/test-daemon.js';
import { ordinaryUser } from '../unpack/sandbox.js';

const { PullPolicy } = stowage.v1;
type ReadSettingsRequest = stowage.v1.ReadSettingsRequest;

describe('stowage-enter, with settings files', () => {
  const sandbox = eachInEnterSandbox();
  let daemon: TestDaemon;

  before(async () => {
    daemon = await TestDaemon.start();
    fs.chmodSync(daemon.directory, 0o755);
  });
  after(() => daemon.end());

  const siteDirectory = (): string => path.join(sandbox().directory, 'site');
  const config = (): string => path.join(sandbox().directory, 'config');
  const own = (name: string): string => path.join(config(), 'stowage', name);
  const write = (file: string, text: string): void => {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  };
  const writeEnvironment = (name: string, text: string): void =>
    write(own(`environments/${name}.toml`), text);

  const settings = (named: string, more: readonly string[] = []): EnterOptions => ({
    image: named,
    socket: `${daemon.directory}/api.sock`,
    environment: { XDG_CONFIG_HOME: config(), PROJECT: 'p7' },
    options: ['--environments', siteDirectory(), ...more],
  });

  /** Something that can be entered, owned by the user, beside the environments. */
  const makeRoot = (): void => {
    const root = own('environments/root');
    for (const name of ['etc', 'bin', 'proc', 'sys', 'dev', 'tmp'])
      fs.mkdirSync(path.join(root, name), { recursive: true });
    sandbox().giveToUser(root);
  };

  it('enters the image of an environment, as it says', async () => {
    makeRoot();
    const data = path.join(sandbox().directory, 'data p7');
    fs.mkdirSync(data);
    write(path.join(data, 'here'), '');
    write(path.join(siteDirectory(), 'basis.toml'), '[env]\nONE = "basis"\nTWO = "basis"');
    writeEnvironment(
      'x',
      `base = "basis"
       image = "./root"
       mounts = ["${path.dirname(data)}/data \${PROJECT}:/data"]
       workdir = "/data"
       env = { TWO = "x" }`,
    );
    write(own('config.toml'), 'workdir = "/one"\nenv = { ONE = "config", THREE = "a, b" }');
    const container = await sandbox().succeed(settings('@x', ['--option', 'env=FOUR=4']));
    const variables = container.environment.filter((entry) => /^=(?:ONE|TWO|THREE|FOUR)=/.test(entry));
    assert.deepEqual(variables.sort(), ['=FOUR=4', '=ONE=basis', '=THREE=a, b', '=TWO=x']);
    assert.ok(container.mounts.has('/data'));
    assert.deepEqual(fs.readdirSync(`${container.root}/data`), ['here']);
  });

  it('leaves the command line the last word', async () => {
    makeRoot();
    writeEnvironment('x', 'image = "./root"\n[env]\nA = "x"');
    const { environment } = await sandbox().succeed(settings('@x', ['--option', 'env=A=mine']));
    assert.ok(environment.includes('=A=mine'));
  });

  it('says which file is wrong, and where', async () => {
    writeEnvironment('x', 'image = "app"\nmounts = ["/a:/b:or"]');
    await sandbox().fail(
      `${own('environments/x.toml')}: mounts.0: "/a:/b:or": there is no flag "or"; did you mean "ro"?`,
      settings('@x'),
    );
    writeEnvironment('x', 'image = "app"\n\nhome = maybe');
    await sandbox().fail(/x\.toml: line 3: /, settings('@x'));
  });

  it('says which file asked for what cannot be mounted', async () => {
    writeEnvironment('x', 'image = "./root"\nmounts = ["/tmp:/proc"]');
    makeRoot();
    await sandbox().fail(
      `${own('environments/x.toml')}: mounts: "/proc" cannot be a target: /proc is the kernel's; choose another`,
      settings('@x'),
    );
  });

  it('says where it looked for an environment, and what there is', async () => {
    writeEnvironment('pytorch', '');
    await sandbox().fail(
      `environment "pytorhc" does not exist: it is neither in ${own('environments')} nor in ${siteDirectory()}; ` +
        'did you mean "pytorch"?',
      settings('@pytorhc'),
    );
  });

  it('goes nowhere else for an environment', async () => {
    for (const name of ['../config', '', '.x', 'a/b', 'x\n']) {
      await sandbox().fail(/^'.*' is no name of an environment: /s, settings(`@${name}`));
    }
  });

  it('refuses a config.toml that it may not read, and a FIFO, at once', async () => {
    write(own('config.toml'), '');
    if (ordinaryUser) {
      fs.chmodSync(own('config.toml'), 0);
      await sandbox().fail(/config\.toml cannot be read: Permission denied$/, settings(image));
    }
    fs.unlinkSync(own('config.toml'));
    fs.mkdirSync(own(''), { recursive: true });
    execFileSync('mkfifo', [own('config.toml')]);
    await sandbox().fail(/config\.toml is not a regular file$/, settings(image));
  });

  describe('for a container with a name', () => {
    const step = (more: readonly string[] = []): EnterOptions => ({
      ...settings(own('environments/root'), ['--option', 'name=x', ...more]),
    });
    const variableOf = ({ environment }: { environment: string[] }): string | undefined =>
      environment.find((entry) => entry.startsWith('=OF_CONFIG='));

    it('reads config.toml for a step that names no image, and for one that saves', async () => {
      makeRoot();
      write(own('config.toml'), 'env = { OF_CONFIG = "first" }');
      assert.equal(variableOf(await sandbox().succeed(step())), '=OF_CONFIG=first');
      write(own('config.toml'), 'env = { OF_CONFIG = "second" }');
      const saved = path.join(sandbox().directory, 'saved');
      fs.mkdirSync(saved);
      sandbox().giveToUser(saved);
      const joined = await sandbox().succeed({
        ...step(['--option', `save=${saved}/x.tar`]),
        withoutImage: true,
      });
      assert.equal(variableOf(joined), '=OF_CONFIG=second');
      assert.notEqual(joined.saver, 0);
    });

    it('takes what config.toml says of its mounts for what it was made with', async () => {
      makeRoot();
      const data = path.join(sandbox().directory, 'data');
      fs.mkdirSync(data);
      const mounts = (target: string): void => write(own('config.toml'), `mount = ["${data}:${target}"]`);
      mounts('/one');
      await sandbox().succeed(step());
      const joined = await sandbox().succeed({ ...step(), withoutImage: true });
      assert.ok(joined.mounts.has('/one'));
      mounts('/two');
      await sandbox().fail(
        `container 'x': it runs already, made without ${own('config.toml')}: mount '${data}:/two'; a step that joins it ` +
          'takes it as it is, so leave that out, or let the step have it that starts the container',
        { ...step(), withoutImage: true },
      );
    });
  });

  describe('with a stowaged that looks at what comes, and says what it likes', () => {
    let prepared: PrepareRequestMessage[];
    let asked: ReadSettingsRequest[];

    const serve = async (
      answer?: (request: ReadSettingsRequest) => ReadSettingsResponseMessage,
    ): Promise<EnterOptions> => {
      const imageDigest = sandbox().makeTree();
      prepared = [];
      asked = [];
      const prepare = (call: PrepareCall): void => {
        prepared.push(call.request);
        call.write(welcome);
        call.write({ plan: { imageDigest, workingDirectory: '/' } });
        call.end();
      };
      const onSettings = answer && ((request: ReadSettingsRequest) => (asked.push(request), answer(request)));
      await sandbox().serve(listenGrpc(sandbox().socket, prepare, undefined, onSettings));
      return {
        ...settings(image, ['--option', 'root=yes', '--option', 'name=kept']),
        socket: sandbox().socket,
      };
    };
    const optionsOf = ({ options }: PrepareRequestMessage | ReadSettingsRequest) =>
      options.map(({ name, value }) => `${name}=${value}`);
    const option = (name: string, value: string) => ({ name, value });

    it('makes no call if there is nothing to be read', async () => {
      const options = await serve(() => assert.fail('a call'));
      await sandbox().succeed(options);
      assert.deepEqual(prepared.map(optionsOf), [['root=yes', 'name=kept']]);
    });

    it('sends the text of its files and the variables in it, and no others', async () => {
      const options = await serve(({ reference, options: given }) => ({ reference, options: given }));
      write(own('config.toml'), 'workdir = "/${PROJECT}/${NOPE}"');
      await sandbox().succeed(options);
      assert.deepEqual(prepared.map(optionsOf), [['root=yes', 'name=kept']]);
      const [request] = asked;
      assert.ok(request);
      assert.deepEqual(optionsOf(request), ['root=yes', 'name=kept']);
      assert.equal(request.reference, image);
      assert.equal(request.files.length, 1);
      const [file] = request.files;
      assert.equal(Buffer.from(file?.content ?? []).toString(), 'workdir = "/${PROJECT}/${NOPE}"');
      assert.deepEqual(
        file?.variables?.map(({ name, value }) => [name, value]),
        [['PROJECT', 'p7']],
      );
    });

    it('pulls as its settings say, unless the command line does', async () => {
      const options = await serve(({ reference }) => ({
        reference,
        options: [option('pull', 'always'), option('pull', 'never'), option('show-digest', 'yes')],
      }));
      write(own('config.toml'), '');
      const { stderr } = await sandbox().enter(options);
      assert.match(stderr, /sha256:/);
      await sandbox().succeed({ ...options, options: [...(options.options ?? []), '--pull', 'missing'] });
      assert.deepEqual(
        prepared.map(({ pull, options: sent }) => [pull, sent.length]),
        [
          [PullPolicy.PULL_POLICY_NEVER, 0],
          [PullPolicy.PULL_POLICY_MISSING, 0],
        ],
      );
    });

    it('gives nobody a file that is no environment', async () => {
      const options = await serve(() => ({ wanted: ['../../secret'] }));
      write(path.join(config(), 'secret.toml'), 'secret');
      write(own('config.toml'), '');
      await sandbox().fail(/^'\.\.\/\.\.\/secret' is no name of an environment/, options);
      assert.equal(asked.length, 1);
    });

    it('does not ask without end', async () => {
      const options = await serve(() => ({ wanted: [`e${asked.length}`] }));
      write(own('config.toml'), '');
      await sandbox().fail(/^stowaged asks for settings files without end/, options);
      assert.equal(asked.length, 9);
    });

    it('takes no more options than it can hand on', async () => {
      const many = Array.from({ length: 257 }, () => option('mount', '/a'));
      const options = await serve(({ reference }) => ({ reference, options: many }));
      write(own('config.toml'), '');
      await sandbox().fail(/^your settings and the command line hold more than 256 options$/, options);
      assert.deepEqual(prepared, []);
    });

    it('prefetches the image of an environment, and leaves one in a file to the step', async () => {
      await serve(({ reference }) => ({ reference: reference === '@x' ? 'app:1' : '/data/app.sqsh' }));
      const prefetch = (named: string) =>
        sandbox().runAlone([
          ...['--socket', sandbox().socket, '--trees', sandbox().trees, '--image', named],
          ...['--job', '7', '--prefetch', '--environments', siteDirectory()],
        ]);
      assert.deepEqual(await prefetch('@x'), { status: 0, stdout: '', stderr: '' });
      assert.deepEqual(await prefetch('@y'), { status: 0, stdout: '', stderr: '' });
      assert.deepEqual(
        prepared.map(({ reference }) => reference),
        ['app:1'],
      );
    });
  });
});
