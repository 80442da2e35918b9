import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { digestOf } from '../../wrapper/image/digest.js';
import { parseManifest } from '../../wrapper/image/manifest.js';
import { parseReference } from '../../wrapper/image/reference.js';
import type { RegistrySettings } from '../../wrapper/config/config.js';
import type { Login, RegistrySession } from '../../wrapper/registry/session.js';
import { busyboxImage } from '../support/busybox-image.js';
import { forLoopback, selfSigned } from '../support/certificates.js';
import { DockerRegistry } from '../support/docker-registry.js';
import { isCode } from '../support/is-code.js';
import { askIn, download, heardIn, login, quickClient } from '../support/registry-session.js';
import { TokenServer } from '../support/token-server.js';

const alice = { username: 'alice', password: 'open sesame' };

describe("Debian's docker-registry", () => {
  const open: (() => unknown)[] = [];
  const waiting = heardIn([]);
  const start = async (settings: Parameters<typeof DockerRegistry.start>[0]): Promise<DockerRegistry> => {
    const registry = await DockerRegistry.start(settings);
    open.push(() => registry.end());
    return registry;
  };
  const tokens = async (lifetimeSeconds = 300): Promise<TokenServer> => {
    const server = await TokenServer.start({
      users: {
        alice: { ...alice, identityToken: 'refresh-me', repositories: ['team/app', 'public/app'] },
        bob: { password: 'simsim', repositories: [] },
      },
      open: ['public/app'],
      lifetimeSeconds,
    });
    open.push(() => server.stop());
    return server;
  };
  const sessionAt = (
    { host }: DockerRegistry,
    settings: Partial<RegistrySettings>,
    make: () => Login | undefined,
    asked: string[] = [],
  ): RegistrySession => {
    const client = quickClient({ [host]: settings });
    open.push(() => client.close());
    return client.session(askIn(asked, make));
  };
  /** All of an image, each byte checked. */
  const pull = async (session: RegistrySession, name: string): Promise<void> => {
    const reference = parseReference(name);
    const digest = await session.headManifest(reference, waiting);
    const { bytes, contentType, ...found } = await session.manifest(reference, waiting);
    assert.equal(found.digest, digest);
    const manifest = parseManifest(bytes, contentType, name);
    assert.equal(manifest.kind, 'manifest');
    for (const blob of [manifest.config, ...manifest.layers]) {
      assert.equal(digestOf(await download(session, reference, blob, waiting)), blob.digest);
      const part = await session.openBlob(reference, blob.digest, { from: 5, to: 9 }, waiting);
      assert.deepEqual([part.from, part.partial, part.totalBytes], [5, true, blob.size]);
      part.discard();
    }
  };

  afterEach(async () => {
    for (const end of open.splice(0).reverse()) await end();
  });

  it('with htpasswd opens to the login that it knows, and to no other', async () => {
    const registry = await start({ access: { kind: 'htpasswd', users: { alice: alice.password } } });
    const name = await registry.push(await busyboxImage(), 'team/app:1', alice);
    const asked: string[] = [];
    await pull(
      sessionAt(registry, { http: true }, () => login('alice', alice.password), asked),
      name,
    );
    assert.equal(asked.length, 1);
    await assert.rejects(
      pull(
        sessionAt(registry, { http: true }, () => login('alice', 'wr0ng')),
        name,
      ),
      isCode('login-refused', /refuses the login of alice from ~\/.docker\/config.json/, /wr0ng/),
    );
    await assert.rejects(
      pull(
        sessionAt(registry, { http: true }, () => undefined),
        name,
      ),
      isCode('registry-denied', /wants a login.*podman login --authfile \S+ localhost/),
    );
  });

  it('with a token service opens to name and password, and to an identity token', async () => {
    const server = await tokens();
    const registry = await start({ access: server.access });
    const name = await registry.push(await busyboxImage(), 'team/app:1', alice);
    const listed = { http: true, tokenRealms: [server.origin] };
    server.requests.length = 0;
    await pull(
      sessionAt(registry, listed, () => login('alice', alice.password)),
      name,
    );
    await pull(
      sessionAt(registry, listed, () => login('', '', 'refresh-me')),
      name,
    );
    assert.deepEqual(
      server.requests.map(({ proof, scopes, status }) => [proof, ...scopes, status]),
      [
        ['basic', 'repository:team/app:pull', 200],
        ['refresh_token', 'repository:team/app:pull', 200],
      ],
    );
    assert.doesNotMatch(registry.log(), /eyJ|sesame|refresh-me/, 'no token in a URL');
  });

  it('with a token service tells a wrong login from one that opens another image', async () => {
    const server = await tokens();
    const registry = await start({ access: server.access });
    const name = await registry.push(await busyboxImage(), 'team/app:1', alice);
    const listed = { http: true, tokenRealms: [server.origin] };
    await assert.rejects(
      pull(
        sessionAt(registry, listed, () => login('alice', 'wr0ng')),
        name,
      ),
      isCode('login-refused', /token service of registry .* refuses the login of alice/, /wr0ng/),
    );
    await assert.rejects(
      pull(
        sessionAt(registry, listed, () => login('bob', 'simsim')),
        name,
      ),
      isCode('registry-denied', /does not show it to bob/, /simsim/),
    );
    await assert.rejects(
      pull(
        sessionAt(registry, listed, () => undefined),
        name,
      ),
      isCode('registry-denied', /wants a login/),
    );
    await pull(
      sessionAt(registry, listed, () => undefined),
      await registry.push(await busyboxImage(), 'public/app:1', alice),
    );
  });

  it('with tokens that live for a second is asked for another as often as it takes', async () => {
    const server = await tokens(1);
    const registry = await start({ access: server.access });
    const name = await registry.push(await busyboxImage(), 'team/app:1', alice);
    const listed = { http: true, tokenRealms: [server.origin] };
    const session = sessionAt(registry, listed, () => login('alice', alice.password));
    await pull(session, name);
    const before = server.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await pull(session, name);
    assert.ok(server.requests.length > before);
  });

  it('whose token service the site does not list gets no login at all', async () => {
    const server = await tokens();
    const registry = await start({ access: server.access });
    const name = await registry.push(await busyboxImage(), 'team/app:1', alice);
    server.requests.length = 0;
    await assert.rejects(
      pull(
        sessionAt(registry, { http: true }, () => login('alice', alice.password)),
        name,
      ),
      isCode('registry-misbehaving', new RegExp(`token_realms = \\["${server.origin}"\\]`), /sesame/),
    );
    assert.deepEqual(server.requests, []);
  });

  it('over TLS is trusted by the authority that the site names', async () => {
    const authority = selfSigned('authority of a test');
    const registry = await start({ tls: forLoopback(authority) });
    const directory = mkdtempSync(join(tmpdir(), 'stowage-authority-'));
    open.push(() => rmSync(directory, { recursive: true }));
    const ca = join(directory, 'ca.pem');
    writeFileSync(ca, authority.certificate);
    const name = await registry.push(await busyboxImage(), 'team/app:1');
    await pull(
      sessionAt(registry, { ca }, () => undefined),
      name,
    );
    await assert.rejects(
      pull(
        sessionAt(registry, {}, () => undefined),
        name,
      ),
      isCode('registry-unreachable', new RegExp(`registry ${registry.host} cannot be trusted`)),
    );
  });

  it('names what it does not have', async () => {
    const registry = await start({});
    const name = await registry.push(await busyboxImage(), 'team/app:1');
    const session = sessionAt(registry, { http: true }, () => undefined);
    await assert.rejects(
      pull(session, name.replace(/:1$/, ':2')),
      isCode('image-not-found', /has no tag 2 in team\/app \(it says "manifest unknown"\)/),
    );
    await assert.rejects(
      pull(session, `${registry.host}/nosuch/app:1`),
      isCode('image-not-found', /has no (repository nosuch\/app|tag 1 in nosuch\/app)/),
    );
  });
});
