import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { FaultRegistry, sha256 } from '../support/fault-registry.js';
import { ordinaryUser } from '../unpack/sandbox.js';
import { descendantsOf, eachInCliSandbox, outcomeOf, tarOf } from './sandbox.js';

const lower = tarOf({
  'etc/motd': 'from the lower layer\n',
  'etc/withdrawn': 'x',
  'usr/bin/app': '#!/bin/sh\n',
});
const upper = tarOf({ 'etc/motd': 'from the upper layer\n', 'etc/.wh.withdrawn': '' });
const architecture = process.arch === 'x64' ? 'amd64' : process.arch;

describe('stowage with an image of a registry', () => {
  const sandbox = eachInCliSandbox();
  let registry: FaultRegistry;
  let digest: string;
  let image: string;
  let config: string;

  beforeEach(async () => {
    registry = await FaultRegistry.start();
    digest = registry.addImage('team/app', '1', {
      layers: [lower, upper],
      config: {
        Env: ['A=b', 'LONG=' + 'x'.repeat(300)],
        Entrypoint: ['/usr/bin/app', 'two words'],
        Cmd: ['--help'],
        User: '1000',
        WorkingDir: '/w',
        Labels: { title: 'an app\u001b[31m' },
      },
    });
    image = `${registry.host}/team/app:1`;
    config = sandbox().write('stowage.toml', `[registries."${registry.host}"]\nhttp = true\n`);
    sandbox().giveToUser();
  });
  afterEach(() => registry.stop());

  it('unpacks all layers into a directory of the user', async () => {
    const { stdout, stderr } = await sandbox().succeed('unpack', '--config', config, image, 'tree');
    assert.equal(stdout, '');
    assert.equal(stderr, `stowage: ${sandbox().path('tree')} is ${image} (${digest})\n`);
    assert.equal(sandbox().read('tree/etc/motd'), 'from the upper layer\n');
    assert.ok(!fs.existsSync(sandbox().path('tree/etc/withdrawn')));
    assert.deepEqual(sandbox().names(), ['stowage.toml', 'tree']);
    if (ordinaryUser) assert.equal(fs.statSync(sandbox().path('tree/etc')).uid, ordinaryUser.uid);
  });

  it('asks the registry for nothing but the name when the image is there already', async () => {
    await sandbox().succeed('unpack', '--config', config, image, 'first');
    registry.requests.length = 0;
    await sandbox().succeed('unpack', '--config', config, '--quiet', image, 'second');
    assert.deepEqual(
      registry.requests.map(({ method, url }) => `${method} ${url}`),
      ['HEAD /v2/team/app/manifests/1'],
    );
    assert.equal(sandbox().read('second/etc/motd'), 'from the upper layer\n');
    assert.equal(fs.statSync(sandbox().cache).mode & 0o777, 0o700);
  });

  it('lets two of a user share the downloads at the same time', async () => {
    const outcomes = await Promise.all(
      ['a', 'b', 'c'].map((name) => sandbox().run(['unpack', '--config', config, image, name])),
    );
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      [0, 0, 0],
      outcomes.map(({ stderr }) => stderr).join(''),
    );
  });

  it('takes short names as the site means them, as --image does', async () => {
    const names = `[short_names]\nregistry = "${registry.host}"\n[short_names.aliases]\napp = "${registry.host}/team/app"\n`;
    const site = sandbox().write('site.toml', `${names}[registries."${registry.host}"]\nhttp = true\n`);
    sandbox().giveToUser();
    for (const name of ['team/app:1', 'app:1']) {
      const { stdout } = await sandbox().succeed('inspect', '--config', site, '--json', name);
      assert.equal((JSON.parse(stdout) as { name: string }).name, image);
    }
  });

  it('says nothing with --quiet', async () => {
    const { stderr } = await sandbox().succeed('unpack', '--quiet', '--config', config, image, 'tree');
    assert.equal(stderr, '');
  });

  it('fills an empty directory that is there', async () => {
    fs.mkdirSync(sandbox().path('tree'));
    sandbox().giveToUser();
    await sandbox().succeed('unpack', '--config', config, image, 'tree/');
    assert.equal(sandbox().read('tree/etc/motd'), 'from the upper layer\n');
  });

  it('names image, registry and remedy when there is no such image', async () => {
    await sandbox().refuse(
      new RegExp(
        `^stowage: image ${registry.host}/team/nosuch:1 not found: registry ${registry.host} has no such .*check`,
      ),
      1,
      ...['unpack', '--config', config, `${registry.host}/team/nosuch:1`, 'tree'],
    );
  });

  it('leaves nothing of an image whose layer is not what its configuration says', async () => {
    const lie = { layers: [lower], manifest: {} };
    registry.addImage('team/lie', '1', lie);
    registry.inject(
      new RegExp(`blobs/${sha256(lower)}`),
      { kind: 'replace', body: Buffer.alloc(lower.length) },
      9,
    );
    await sandbox().refuse(
      /^stowage: the registry sent wrong bytes for sha256:[0-9a-f]{64}: /,
      1,
      ...['unpack', '--config', config, `${registry.host}/team/lie:1`, 'tree'],
    );
  });

  it('refuses an archive that the unpacker refuses, with its sentence and the name of the image', async () => {
    registry.addImage('team/bad', '1', { layers: [tarOf({ 'etc/.wh..': '' })] });
    await sandbox().refuse(
      new RegExp(
        `^stowage: image ${registry.host}/team/bad:1 is refused: layer sha256:[0-9a-f]{64}: .*\\.wh\\.\\.`,
      ),
      1,
      ...['unpack', '--config', config, `${registry.host}/team/bad:1`, 'tree'],
    );
  });

  it('keeps to --max-bytes and --max-inodes', async () => {
    const args = ['unpack', '--config', config, image, 'tree'];
    await sandbox().refuse(
      / has \d+ bytes compressed, and 5120 are allowed unpacked; raise --max-bytes/,
      1,
      ...args,
      '--max-bytes=5K',
    );
    await sandbox().refuse(/ is refused: .* exceeds the 3 files /, 1, ...args, '--max-inodes', '3');
  });

  it('keeps to --max-depth and to the configured depth', async () => {
    registry.addImage('team/deep', '1', { layers: [tarOf({ 'a/b/c/d/file': '' })] });
    const args = ['unpack', `${registry.host}/team/deep:1`, 'tree'];
    const sentence = / is refused: .* more than 3 directories deep;/;
    await sandbox().refuse(sentence, 1, ...args, '--config', config, '--max-depth=3');
    const strict = sandbox().write(
      'strict.toml',
      `${sandbox().read('stowage.toml')}[budget]\nmax_depth = 3\n`,
    );
    await sandbox().refuse(sentence, 1, ...args, '--config', strict);
    await sandbox().succeed(...args, '--config', strict, '--max-depth', '4', '--quiet');
    assert.ok(fs.existsSync(sandbox().path('tree/a/b/c/d/file')));
  });

  describe('while it downloads', () => {
    const blobOf = (layer: Buffer): RegExp => new RegExp(`blobs/${sha256(layer)}`);
    const start = (name: string, ...more: string[]): ChildProcess =>
      sandbox().start(['unpack', '--quiet', '--config', config, `${registry.host}/${name}`, 'tree', ...more]);
    /** Waits for a file of the lower layer to be unpacked. */
    const lowerIsThere = async (child: ChildProcess): Promise<void> => {
      while (!fs.existsSync(sandbox().path('.tree.partial/etc/withdrawn'))) {
        assert.deepEqual([child.exitCode, child.signalCode], [null, null], 'it has not ended');
        await sleep(5);
      }
    };

    it('unpacks what has come, within the budget, and leaves nothing when it is ended', async () => {
      registry.inject(blobOf(upper), { kind: 'stall' }, 9);
      const child = start('team/app:1', '--max-seconds=77');
      const ended = outcomeOf(child);
      await lowerIsThere(child);
      const processes = descendantsOf(child.pid);
      const commands = processes.map((pid) => fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0'));
      assert.ok(commands.some((words) => words.includes('--growing')));
      const given = (option: string): string | undefined => commands[0]?.[commands[0].indexOf(option) + 1];
      assert.deepEqual([given('--max-seconds'), given('--max-depth')], ['77', '256']);
      child.kill('SIGTERM');
      assert.deepEqual(await ended, { status: 143, stdout: '', stderr: '' });
      assert.deepEqual(sandbox().names(), ['stowage.toml']);
    });

    it('finishes when the rest has come', async () => {
      registry.inject(blobOf(upper), { kind: 'trickle', bytesPerSecond: 20_000 }, 9);
      const child = start('team/app:1');
      const ended = outcomeOf(child);
      await lowerIsThere(child);
      assert.deepEqual(await ended, { status: 0, stdout: '', stderr: '' });
      assert.equal(sandbox().read('tree/etc/motd'), 'from the upper layer\n');
      assert.ok(!fs.existsSync(sandbox().path('tree/etc/withdrawn')));
    });

    it('says why the download failed, and leaves nothing', async () => {
      registry.inject(blobOf(upper), { kind: 'status', status: 403 }, 9);
      const { status, stderr } = await outcomeOf(start('team/app:1'));
      assert.match(stderr, new RegExp(`^stowage: [^\n]*registry ${registry.host} [^\n]+\n$`));
      assert.doesNotMatch(stderr, /refused:|cannot be unpacked/);
      assert.equal(status, 1);
      assert.deepEqual(sandbox().names(), ['stowage.toml']);
    });

    it('ends at once when a layer that has come is refused', async () => {
      registry.addImage('team/bad', '1', { layers: [tarOf({ 'etc/.wh..': '' }), upper] });
      registry.inject(blobOf(upper), { kind: 'stall' }, 9);
      const { status, stderr } = await outcomeOf(start('team/bad:1'));
      assert.match(stderr, /^stowage: image [^\n]*\/team\/bad:1 is refused: [^\n]*\.wh\.\.[^\n]*\n$/);
      assert.equal(status, 1);
      assert.deepEqual(sandbox().names(), ['stowage.toml']);
    });
  });

  it('shows progress in plain lines where there is no terminal', async () => {
    registry.inject(/blobs\/sha256/, { kind: 'trickle', bytesPerSecond: 4000 }, 9);
    const { stderr } = await sandbox().succeed('unpack', '--config', config, image, 'tree');
    assert.match(stderr, /^stowage: downloading \S+: \d+% of 20\.5 kB, \d\.\d MB\/s\n/);
  });

  for (const [name, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    it(`leaves nothing when ${name} ends it in the middle of a download`, async () => {
      registry.inject(/blobs/, { kind: 'stall' }, 9);
      const child = sandbox().start(['unpack', '--config', config, image, 'tree']);
      const ended = outcomeOf(child);
      while (registry.count(/blobs/) === 0) await sleep(5);
      assert.deepEqual(sandbox().names(), ['.tree.partial', 'stowage.toml']);
      child.kill(name);
      assert.deepEqual(await ended, { status, stdout: '', stderr: '' });
      assert.deepEqual(sandbox().names(), ['stowage.toml']);
    });
  }

  it('does not unpack to one directory twice at once', async () => {
    registry.inject(/blobs/, { kind: 'stall' }, 9);
    const child = sandbox().start(['unpack', '--config', config, image, 'tree']);
    const ended = outcomeOf(child);
    while (registry.count(/blobs/) === 0) await sleep(5);
    await sandbox().refuse(
      /another stowage is unpacking to ".*\/tree" right now/,
      1,
      'unpack',
      '--config',
      config,
      image,
      'tree',
    );
    child.kill('SIGTERM');
    await ended;
  });

  it('takes away what somebody who was killed has left', async () => {
    fs.mkdirSync(sandbox().path('.tree.partial/locked/in'), { recursive: true });
    fs.chmodSync(sandbox().path('.tree.partial/locked'), 0);
    sandbox().giveToUser();
    await sandbox().succeed('unpack', '--config', config, image, 'tree');
    assert.deepEqual(sandbox().names(), ['stowage.toml', 'tree']);
    assert.ok(!fs.existsSync(sandbox().path('tree/locked')));
  });

  it('inspects without a download of layers', async () => {
    assert.deepEqual(await sandbox().inspect('--config', config, image), {
      kind: 'image',
      name: image,
      source: 'registry',
      digest,
      platform: `linux/${architecture}`,
      platforms: [],
      created: null,
      compressed_bytes: lower.length + upper.length,
      layers: [lower, upper].map((layer) => ({
        digest: sha256(layer),
        diff_id: sha256(layer),
        media_type: 'application/vnd.oci.image.layer.v1.tar',
        size_bytes: layer.length,
      })),
      config: {
        user: '1000',
        working_directory: '/w',
        entrypoint: ['/usr/bin/app', 'two words'],
        command: ['--help'],
        environment: ['A=b', 'LONG=' + 'x'.repeat(300)],
        labels: { title: 'an app\u001b[31m' },
      },
    });
    assert.equal(registry.count(new RegExp(sha256(lower))), 0);
  });

  it('inspects for people: aligned, escaped, whole', async () => {
    const { stdout } = await sandbox().succeed('inspect', '--config', config, image);
    assert.match(
      stdout,
      new RegExp(`^image {8}${image}\ndigest {7}${digest}\nplatform {5}linux/${architecture}\n`),
    );
    assert.match(stdout, /^size {9}20\.5 kB in 2 layers$/m);
    assert.match(stdout, /^entrypoint {3}\/usr\/bin\/app "two words"$/m);
    assert.match(stdout, /^user {9}1000 \(ranks stay who they are\)$/m);
    assert.match(stdout, /^environment {2}A=b\n {13}LONG=x{300}$/m);
    assert.match(stdout, /^labels {7}title=an app\\u001b\[31m$/m);
    assert.match(
      stdout,
      new RegExp(`^layer 2\n {2}digest {5}${sha256(upper)}\n {2}diff_id {4}${sha256(upper)}\n`, 'm'),
    );
    assert.doesNotMatch(stdout, /[\x00-\x09\x0b-\x1f]/);
  });

  it('inspects an index, and says which platforms it has', async () => {
    const index = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        manifests: [
          ['arm', 'linux', digest],
          [architecture, 'linux', digest],
          ['unknown', 'unknown', digest],
        ].map(([of, os, entry]) => ({
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          digest: entry,
          size: 0,
          platform: { os, architecture: of },
        })),
      }),
    );
    const manifest = (await (await fetch(`http://${registry.host}/v2/team/app/manifests/1`)).text()).length;
    const sized = Buffer.from(index.toString().replaceAll('"size":0', `"size":${manifest}`));
    registry.addManifest('team/app', 'many', sized, 'application/vnd.oci.image.index.v1+json');
    const inspection = await sandbox().inspect('--config', config, `${registry.host}/team/app:many`);
    assert.deepEqual(inspection['platforms'], ['linux/arm', `linux/${architecture}`]);
    assert.equal(inspection['digest'], digest);
    const { stdout } = await sandbox().succeed(
      'inspect',
      '--config',
      config,
      `${registry.host}/team/app:many`,
    );
    assert.match(stdout, /\(there is also linux\/arm\)$/m);
  });

  it('takes the cache from XDG_CACHE_HOME, and refuses one where others may write', async () => {
    const args = ['unpack', '--config', config, image, 'tree'];
    fs.mkdirSync(sandbox().path('shared/stowage'), { recursive: true });
    sandbox().giveToUser();
    fs.chmodSync(sandbox().path('shared/stowage'), 0o777);
    const refused = await sandbox().run(args, { XDG_CACHE_HOME: sandbox().path('shared') });
    assert.match(
      refused.stderr,
      /downloads cannot be kept in .*\/shared\/stowage \(it is not a directory that only you may write to\)/,
    );
    assert.equal(refused.status, 1);
    fs.chmodSync(sandbox().path('shared/stowage'), 0o700);
    const { status, stderr } = await sandbox().run(args, { XDG_CACHE_HOME: sandbox().path('shared') });
    assert.equal(status, 0, stderr);
    assert.ok(!fs.existsSync(sandbox().cache));
    assert.ok(fs.existsSync(sandbox().path(`shared/stowage/blobs/sha256/${sha256(lower).slice(7)}`)));
  });
});
