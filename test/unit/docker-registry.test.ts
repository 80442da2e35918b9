import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { busyboxImage } from '../support/busybox-image.js';
import { forLoopback, selfSigned } from '../support/certificates.js';
import { type Access, DockerRegistry } from '../support/docker-registry.js';
import { run } from '../support/oci-image.js';
import { TokenServer } from '../support/token-server.js';

/** Digest of what the registry gives for a name. */
const inspect = async (reference: string, ...options: string[]): Promise<string> =>
  (
    await run('skopeo', [
      ...['inspect', '--format={{.Digest}}', '--tls-verify=false', ...options],
      `docker://${reference}`,
    ])
  ).trim();

const alice = { username: 'alice', password: 'open sesame' };
const asAlice = ['--creds', 'alice:open sesame'];

describe('the registries that tests use', () => {
  const open: (() => Promise<unknown>)[] = [];
  const start = async (access: Access): Promise<DockerRegistry> => {
    const registry = await DockerRegistry.start({ access });
    open.push(() => registry.end());
    return registry;
  };
  const tokens = async (): Promise<TokenServer> => {
    const server = await TokenServer.start({
      users: { alice: { ...alice, identityToken: 'refresh-me', repositories: ['team/app', 'public/app'] } },
      open: ['public/app'],
    });
    open.push(() => server.stop());
    return server;
  };
  afterEach(async () => {
    for (const end of open.splice(0).reverse()) await end();
  });

  it('open to all: answers, logs, and comes back where it was', async () => {
    const registry = await start({ kind: 'open' });
    const reference = await registry.push(await busyboxImage(), 'team/app:1');
    const digest = await inspect(reference);
    await registry.stop();
    await assert.rejects(inspect(reference), /connection refused/);
    await registry.restart();
    assert.equal(await inspect(reference), digest);
    const manifests = await registry.settledRequests(/\/team\/app\/manifests\/1$/);
    assert.deepEqual(
      manifests.map(({ status }) => status),
      [200, 200],
    );
  });

  it('with htpasswd: the name and password are needed, and are enough', async () => {
    const registry = await start({ kind: 'htpasswd', users: { alice: alice.password } });
    const reference = await registry.push(await busyboxImage(), 'team/app:1', alice);
    assert.match(await inspect(reference, ...asAlice), /^sha256:/);
    await assert.rejects(inspect(reference), /authentication required|unauthorized/);
    await assert.rejects(inspect(reference, '--creds', 'alice:wrong'), /authentication|unauthorized/);
  });

  it('with a token service: it gives what a login is good for, and everybody what is open', async () => {
    const server = await tokens();
    const registry = await start(server.access);
    const image = await busyboxImage();
    const secret = await registry.push(image, 'team/app:1', alice);
    const shown = await registry.push(image, 'public/app:1', alice);
    assert.match(await inspect(secret, ...asAlice), /^sha256:/);
    assert.match(await inspect(shown), /^sha256:/);
    await assert.rejects(inspect(secret), /denied|unauthorized/);
    await assert.rejects(inspect(secret, '--creds', 'alice:wrong'), /unauthorized|invalid username/);
    const { proof, username, scopes } = server.requests[0] ?? assert.fail();
    assert.deepEqual({ proof, username }, { proof: 'basic', username: 'alice' });
    assert.deepEqual(scopes, ['repository:team/app:pull,push']);
  });

  it('with a token service: an identity token takes the place of name and password', async () => {
    const server = await tokens();
    const registry = await start(server.access);
    const reference = await registry.push(await busyboxImage(), 'team/app:1', alice);
    const directory = mkdtempSync(join(tmpdir(), 'stowage-login-'));
    open.push(async () => rmSync(directory, { recursive: true }));
    const login = {
      auths: {
        [registry.host]: { auth: Buffer.from('alice:').toString('base64'), identitytoken: 'refresh-me' },
      },
    };
    writeFileSync(join(directory, 'auth.json'), JSON.stringify(login));
    assert.match(await inspect(reference, '--authfile', join(directory, 'auth.json')), /^sha256:/);
    const last = server.requests.at(-1) ?? assert.fail();
    assert.deepEqual([last.method, last.proof, last.secret], ['POST', 'refresh_token', 'refresh-me']);
  });

  it('over TLS: whoever trusts its authority gets an answer', async () => {
    const authority = selfSigned('authority of a test');
    const registry = await DockerRegistry.start({ tls: forLoopback(authority) });
    open.push(() => registry.end());
    const reference = await registry.push(await busyboxImage(), 'team/app:1');
    const directory = mkdtempSync(join(tmpdir(), 'stowage-ca-'));
    open.push(async () => rmSync(directory, { recursive: true }));
    writeFileSync(join(directory, 'ca.crt'), authority.certificate);
    const trusting = ['--tls-verify=true', '--cert-dir', directory];
    assert.match(await inspect(reference, ...trusting), /^sha256:/);
    await assert.rejects(inspect(reference, '--tls-verify=true'), /certificate/);
  });

  it('leaves no process and no file', async () => {
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith('stowage-registry-'));
    const registry = await DockerRegistry.start();
    const files = readdirSync(tmpdir()).filter((name) => name.startsWith('stowage-registry-'));
    assert.equal(files.length, before.length + 1);
    await registry.end();
    const [made = ''] = files.filter((name) => !before.includes(name));
    assert.ok(!existsSync(join(tmpdir(), made)));
    await assert.rejects(fetch(`http://${registry.host}/v2/`));
  });
});
