import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parseReference } from '../../wrapper/image/reference.js';
import type { RegistryClient, RegistryClientOptions } from '../../wrapper/registry/client.js';
import { type Certificate, forLoopback, selfSigned } from '../support/certificates.js';
import { FaultRegistry, sha256 } from '../support/fault-registry.js';
import { isCode } from '../support/is-code.js';
import { askIn, heardIn, login, quickClient } from '../support/registry-session.js';
import { TestProxy } from '../support/test-proxy.js';

const proxyVariables = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'];
const variables = [...proxyVariables, ...proxyVariables.map((name) => name.toLowerCase()), 'SSL_CERT_FILE'];

describe('on the way to a registry', () => {
  let directory: string;
  let authority: Certificate;
  let ca: string;
  let secure: FaultRegistry;
  let plain: FaultRegistry;
  let saved: Record<string, string | undefined>;
  const clients: RegistryClient[] = [];
  const waiting = heardIn([]);
  const layer = Buffer.from('a layer');
  const clientWith = (registries: RegistryClientOptions['registries']): RegistryClient => {
    const client = quickClient(registries);
    clients.push(client);
    return client;
  };
  const pull = async (registry: FaultRegistry, client: RegistryClient) =>
    client.session().manifest(parseReference(`${registry.host}/team/app:1`), waiting);

  const inFile = (certificate: Certificate, name: string): string => {
    writeFileSync(join(directory, name), certificate.certificate);
    return join(directory, name);
  };

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'stowage-authority-'));
    authority = selfSigned('An authority of a test');
    ca = inFile(authority, 'ca.pem');
  });
  after(() => rmSync(directory, { recursive: true }));
  beforeEach(async () => {
    saved = Object.fromEntries(variables.map((name) => [name, process.env[name]]));
    for (const name of variables) Reflect.deleteProperty(process.env, name);
    [secure, plain] = await Promise.all([FaultRegistry.start(forLoopback(authority)), FaultRegistry.start()]);
    for (const registry of [secure, plain]) registry.addImage('team/app', '1', { layers: [layer] });
  });
  afterEach(async () => {
    for (const [name, value] of Object.entries(saved)) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
    for (const client of clients.splice(0)) client.close();
    await Promise.all([secure.stop(), plain.stop()]);
  });

  describe('certificates', () => {
    it('of an unknown authority are refused, naming the registry and the remedy', async () => {
      await assert.rejects(
        pull(secure, clientWith({})),
        isCode(
          'registry-unreachable',
          new RegExp(
            `registry ${secure.host} cannot be trusted: .*\\[registries."${secure.host}"\\] ca = "FILE"`,
          ),
        ),
      );
      assert.equal(secure.requests.length, 0);
    });

    it('of an authority that the site names for the registry are accepted', async () => {
      await pull(secure, clientWith({ [secure.host]: { ca } }));
    });

    it('of an authority that the site names for another registry are refused', async () => {
      const client = clientWith({ 'other.example': { ca } });
      await assert.rejects(pull(secure, client), isCode('registry-unreachable', /cannot be trusted/));
    });

    it('of an authority in the bundle of the system are accepted', async () => {
      process.env.SSL_CERT_FILE = ca;
      // Another addition, as what was read for none is kept.
      const another = inFile(selfSigned('Another authority'), 'another.pem');
      await pull(secure, clientWith({ [secure.host]: { ca: another } }));
    });

    for (const proxied of [false, true]) {
      it(`for another host name are refused${proxied ? ', by way of a proxy too' : ''}`, async () => {
        const [proxy, other] = [await TestProxy.start(), selfSigned('other.example')];
        const server = await FaultRegistry.start(other);
        try {
          if (proxied) process.env.HTTPS_PROXY = `http://${proxy.host}`;
          const client = clientWith({ [server.host]: { ca: inFile(other, 'other.pem') } });
          await assert.rejects(
            pull(server, client),
            isCode('registry-unreachable', /cannot be trusted: .*altnames/),
          );
          assert.equal(proxy.requests.length, proxied ? 1 : 0);
        } finally {
          await Promise.all([proxy.stop(), server.stop()]);
        }
      });
    }

    it('are accepted for the token service of the registry too', async () => {
      secure.requireToken('t0ken', ({ headers }) => ({
        status: headers.authorization === undefined ? 401 : 200,
        body: '{"token":"t0ken"}',
      }));
      const client = clientWith({ [secure.host]: { ca } });
      const session = client.session(askIn([], () => login('ana', 'sesame')));
      await session.manifest(parseReference(`${secure.host}/team/app:1`), waiting);
    });

    it('are not got around by a redirect to http', async () => {
      secure.inject(/blobs/, { kind: 'redirect', to: `${plain.origin}/v2/team/app/blobs/${sha256(layer)}` });
      const session = clientWith({ [secure.host]: { ca } }).session();
      await assert.rejects(
        session.openBlob(parseReference(`${secure.host}/team/app:1`), sha256(layer), { from: 0 }, waiting),
        isCode('registry-misbehaving', /give up encryption/),
      );
      assert.equal(plain.requests.length, 0);
    });
  });

  describe('a proxy', () => {
    let proxy: TestProxy;

    beforeEach(async () => (proxy = await TestProxy.start()));
    afterEach(() => proxy.stop());

    it('is used by CONNECT for https, with the name and password of its URL', async () => {
      process.env.HTTPS_PROXY = `http://site:s3cret@${proxy.host}`;
      const client = clientWith({ [secure.host]: { ca } });
      await pull(secure, client);
      await pull(secure, client);
      assert.deepEqual(proxy.requests, [`CONNECT ${secure.host}`], 'the connection is kept');
      assert.deepEqual(proxy.authorizations, [`Basic ${Buffer.from('site:s3cret').toString('base64')}`]);
      assert.equal(secure.requests[0]?.headers['proxy-authorization'], undefined);
    });

    it('is used in absolute form for http', async () => {
      process.env.http_proxy = `http://${proxy.host}`;
      await pull(plain, clientWith({ [plain.host]: { http: true } }));
      assert.deepEqual(proxy.requests, [`GET ${plain.origin}/v2/team/app/manifests/1`]);
    });

    it('does not make an unknown authority known', async () => {
      process.env.https_proxy = `http://${proxy.host}`;
      await assert.rejects(pull(secure, clientWith({})), isCode('registry-unreachable', /cannot be trusted/));
    });

    it('is not used for what NO_PROXY names', async () => {
      process.env.HTTPS_PROXY = process.env.HTTP_PROXY = 'http://127.0.0.1:1';
      process.env.NO_PROXY = 'example.org,127.0.0.1';
      await pull(secure, clientWith({ [secure.host]: { ca } }));
    });

    it('is named when it cannot be reached, without its password', async () => {
      process.env.HTTPS_PROXY = 'http://site:s3cret@127.0.0.1:1';
      await assert.rejects(
        pull(secure, clientWith({ [secure.host]: { ca } })),
        isCode(
          'registry-unreachable',
          new RegExp(
            `registry ${secure.host} by way of proxy 127.0.0.1:1 cannot be reached: connection refused`,
          ),
          /s3cret/,
        ),
      );
    });

    for (const [status, reason] of [
      [407, /by way of proxy .* the proxy wants a login; tell the administrators/],
      [403, /by way of proxy .* the proxy refuses \(HTTP 403\)/],
      [401, /by way of proxy .* the proxy refuses \(HTTP 401\)/],
    ] as const) {
      it(`that refuses with ${status} is not taken for the registry`, async () => {
        proxy.refuses = status;
        process.env.HTTPS_PROXY = `http://site:s3cret@${proxy.host}`;
        const asked: string[] = [];
        const client = clientWith({ [secure.host]: { ca } });
        await assert.rejects(
          client
            .session(askIn(asked, () => login('ana', 'sesame')))
            .manifest(parseReference(`${secure.host}/team/app:1`), waiting),
          isCode('registry-unreachable', reason, /s3cret|sesame/),
        );
        assert.deepEqual(asked, []);
      });
    }

    it('that wants a login for http is not taken for the registry', async () => {
      proxy.refuses = 407;
      process.env.HTTP_PROXY = `http://${proxy.host}`;
      await assert.rejects(
        pull(plain, clientWith({ [plain.host]: { http: true } })),
        isCode('registry-unreachable', /the proxy on the way wants a login/),
      );
    });

    for (const text of ['http://site:s3cret@[', 'socks5://site:s3cret@127.0.0.1:1080']) {
      it(`that cannot be used is not shown: ${text.slice(0, 6)}`, async () => {
        process.env.HTTPS_PROXY = text;
        await assert.rejects(
          pull(secure, clientWith({})),
          isCode(
            'registry-unreachable',
            /the proxy that the environment of this node names is not/,
            /s3cret/,
          ),
        );
      });
    }
  });
});
