import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Image } from '../../wrapper/image/image.js';
import { parseReference } from '../../wrapper/image/reference.js';
import { AnonymousTokens } from '../../wrapper/registry/anonymous-tokens.js';
import { parseChallenges } from '../../wrapper/registry/challenge.js';
import type { Endpoint } from '../../wrapper/registry/endpoint.js';
import { HttpTransport } from '../../wrapper/registry/http.js';
import { readManifest } from '../../wrapper/registry/manifest-answer.js';
import { keepInMemory } from '../../wrapper/rpc/image-here.js';
import { quickLimits } from '../support/registry-session.js';

/** What somebody would run to keep the daemon from serving others. */
describe('a hostile registry', () => {
  const servers: Server[] = [];
  const open = new Set<Socket>();
  let transport: HttpTransport;
  /** Says the same to everybody, and never hangs up. */
  const listen = async (answer: string): Promise<URL> => {
    const server = createServer((socket) => {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => open.delete(socket));
      socket.on('data', () => socket.write(answer));
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v2/`);
  };
  const ask = async (url: URL): Promise<void> => {
    const { signal } = new AbortController();
    const response = await transport.send({ url, method: 'GET', headers: {}, registry: url.host, signal });
    response.discard();
  };

  const untilOpen = async (most: number): Promise<void> => {
    for (let i = 0; i < 160 && open.size > most; i++) await sleep(50);
    assert.ok(open.size <= most, `${open.size} connections are open`);
  };

  beforeEach(() => (transport = new HttpTransport(quickLimits)));
  afterEach(() => {
    transport.close();
    for (const socket of open) socket.destroy();
    for (const server of servers.splice(0)) server.close();
  });

  it('holds no connection by promising a short answer that never comes', async () => {
    const url = await listen('HTTP/1.1 401 Unauthorized\r\ncontent-length: 100\r\n\r\n');
    for (let i = 0; i < 5; i++) await ask(url);
    await untilOpen(0);
  });

  it('holds few connections under very many names', async () => {
    const urls = await Promise.all(
      Array.from({ length: 100 }, () => listen('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')),
    );
    await Promise.all(urls.map(ask));
    await untilOpen(64);
  });

  it('does not stop the daemon with a challenge that takes long to read', () => {
    for (const text of ['a'.repeat(100_000), 'a '.repeat(50_000), 'a="'.repeat(30_000)]) {
      assert.ok(parseChallenges(`Bearer ${text}`).length > 0);
    }
  });

  it('fills no memory with tokens, and takes away nobody else’s', () => {
    const tokens = new AnonymousTokens();
    const endpoint = (repository: string) => ({ origin: 'https://a', repository }) as Endpoint;
    const expiresAtMs = Date.now() + 60_000;
    for (let i = 0; i < 5; i++) {
      tokens.put(endpoint(`large${i}`), { value: 'x'.repeat(1024 * 1024), expiresAtMs });
      assert.equal(tokens.find(endpoint(`large${i}`)), undefined);
    }
    for (let i = 0; i < 1000; i++) {
      tokens.put(endpoint(`small${i}`), { value: 'x'.repeat(4000), expiresAtMs });
    }
    assert.ok(tokens.find(endpoint('small999')));
    assert.equal(tokens.find(endpoint('small0')), undefined);
    tokens.put(endpoint('another'), { value: 'x', expiresAtMs });
    assert.ok(tokens.find(endpoint('small999')));
  });

  it('fills no memory with images of large documents', () => {
    const images = new Map<string, Image>();
    const reference = parseReference('a.example/b');
    const put = (digest: string, size: number): void =>
      keepInMemory(images, reference, digest, { digest, documents: [{ digest, size }] } as Image);
    put('huge', 4 * 1024 * 1024);
    assert.equal(images.size, 0);
    for (let i = 0; i < 100; i++) put(`large${i}`, 256 * 1024);
    assert.equal(images.size, 32);
    assert.ok(images.has('a.example/b large99'));
  });

  it('fills no memory with long names of types', async () => {
    const body = (async function* () {
      await Promise.resolve();
      yield Buffer.from('{}');
    })();
    const headers = { 'content-type': 'x'.repeat(15_000) };
    const url = new URL('https://a.example/v2/b/manifests/1');
    const response = { status: 200, headers, url, body, discard: () => undefined };
    const { contentType } = await readManifest(
      response,
      'a.example',
      parseReference('a.example/b:1'),
      undefined,
    );
    assert.equal(contentType, undefined);
  });
});
