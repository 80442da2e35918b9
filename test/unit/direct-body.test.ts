import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Authorities } from '../../wrapper/registry/authorities.js';
import { HttpTransport } from '../../wrapper/registry/http.js';
import { readMemory } from '../../wrapper/registry/read-memory.js';
import { type Certificate, forLoopback, selfSigned } from '../support/certificates.js';
import { isCode } from '../support/is-code.js';

const limits = { connectTimeoutMs: 2000, minimumBytesPerSecond: 1000, rateWindowMs: 1000 };

/** What a server does with a request, after so many bytes of its head. */
type Answer = (socket: Socket) => void | Promise<void>;

const head = (length: number, more = ''): string =>
  `HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${length}\r\n${more}\r\n`;

/** A server that says byte for byte what a test wants, to each request in turn. */
class Scripted {
  connections = 0;
  readonly answers: Answer[] = [];

  private constructor(
    private readonly server: Server,
    private readonly scheme: string,
  ) {
    server.on(scheme === 'https' ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.connections++;
      socket.on('error', () => undefined);
      socket.on('data', () => void this.answers.shift()?.(socket));
    });
  }

  static async start(tls?: Certificate): Promise<Scripted> {
    const server = tls ? createTlsServer({ key: tls.key, cert: tls.certificate }) : createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Scripted(server, tls ? 'https' : 'http');
  }

  get url(): URL {
    return new URL(`${this.scheme}://localhost:${(this.server.address() as AddressInfo).port}/blob`);
  }

  stop(): void {
    this.server.close();
  }
}

for (const scheme of ['http', 'https']) {
  describe(`the body of a large answer, by ${scheme}`, () => {
    const body = randomBytes(5_000_003);
    let directory: string;
    let authorities: Authorities;
    let certificate: Certificate | undefined;
    let server: Scripted;
    let transport: HttpTransport;
    const stop = new AbortController();

    before(() => {
      directory = mkdtempSync(join(tmpdir(), 'stowage-direct-'));
      const authority = selfSigned('An authority of a test');
      writeFileSync(join(directory, 'ca.pem'), authority.certificate);
      authorities = Authorities.read(join(directory, 'ca.pem'), 'ca');
      certificate = scheme === 'https' ? forLoopback(authority) : undefined;
    });
    after(() => rmSync(directory, { recursive: true }));
    beforeEach(async () => {
      server = await Scripted.start(certificate);
      transport = new HttpTransport(limits);
    });
    afterEach(() => {
      transport.close();
      server.stop();
    });

    const send = (signal = stop.signal) =>
      transport.send({
        ...{ url: server.url, method: 'GET', headers: {}, authorities, registry: 'test', isBulk: true },
        signal,
      });
    const read = async (): Promise<Buffer> => {
      const copies: Buffer[] = [];
      for await (const chunk of (await send()).body) {
        copies.push(Buffer.from(chunk));
        readMemory.giveBack(chunk);
      }
      return Buffer.concat(copies);
    };
    const whole: Answer = (socket) =>
      void socket.write(Buffer.concat([Buffer.from(head(body.length)), body]));

    it('comes whole, in memory that is used again', async () => {
      server.answers.push(whole);
      const memory = new Set<ArrayBufferLike>();
      const copies: Buffer[] = [];
      for await (const chunk of (await send()).body) {
        copies.push(Buffer.from(chunk));
        memory.add(chunk.buffer);
        readMemory.giveBack(chunk);
      }
      assert.ok(Buffer.concat(copies).equals(body));
      assert.ok(memory.size <= 2, `${memory.size} pieces of memory`);
    });

    it('is passed on as it comes, and never written into memory that was given back', async () => {
      const slow = body.subarray(0, 400_000);
      server.answers.push(async (socket) => {
        socket.write(head(slow.length));
        for (let at = 0; at < slow.length; at += 40_000) {
          socket.write(slow.subarray(at, at + 40_000));
          await sleep(30);
        }
      });
      const copies: Buffer[] = [];
      let ofAnother: Buffer | undefined;
      for await (const chunk of (await send()).body) {
        copies.push(Buffer.from(chunk));
        readMemory.giveBack(chunk);
        ofAnother ??= readMemory.take().fill(0xaa);
      }
      assert.ok(Buffer.concat(copies).equals(slow));
      assert.ok(copies.length > 1, 'all came at once');
      assert.ok(ofAnother?.every((byte) => byte === 0xaa));
    });

    it('leaves the connection to the next ones, also to small ones', async () => {
      const small = Buffer.from('small');
      server.answers.push(whole, (socket) => void socket.write(`${head(small.length)}small`), whole);
      for (const expected of [body, small, body]) assert.ok((await read()).equals(expected));
      assert.equal(server.connections, 1);
    });

    it('is told from a head that comes in pieces, behind one of status 103', async () => {
      server.answers.push(async (socket) => {
        const heads = Buffer.from(`HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${head(body.length)}`);
        for (const byte of heads.subarray(0, -2)) {
          socket.write(Buffer.of(byte));
          await sleep(1);
        }
        socket.write(Buffer.concat([heads.subarray(-2), body]));
      });
      assert.ok((await read()).equals(body));
    });

    it('may come in chunks of HTTP, or to the end of the connection', async () => {
      const start = 'HTTP/1.1 200 OK\r\n';
      server.answers.push(
        (socket) => {
          socket.write(`${start}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n`);
          socket.write(body);
          socket.write('\r\n0\r\n\r\n');
        },
        (socket) => void socket.end(Buffer.concat([Buffer.from(`${start}\r\n`), body])),
      );
      for (const _ of [1, 2]) assert.ok((await read()).equals(body));
    });

    it('is not read on while its reader does something else', async () => {
      const large = 64 * body.length;
      let sentBytes = 0;
      server.answers.push(async (socket) => {
        socket.write(head(large));
        for (; sentBytes < large && !socket.destroyed; sentBytes += body.length) {
          if (!socket.write(body)) await once(socket, 'drain');
        }
      });
      const chunks = (await send()).body[Symbol.asyncIterator]();
      await chunks.next();
      await sleep(300);
      assert.ok(sentBytes < large / 2, `${sentBytes} bytes were taken`);
      let readBytes = 0;
      for (let next; !(next = await chunks.next()).done;) {
        readBytes += next.value.length;
        readMemory.giveBack(next.value);
      }
      assert.ok(readBytes >= large - 2 ** 20 && readBytes < large);
    });

    it('that ends early is an error, after all that came', async () => {
      server.answers.push((socket) => {
        socket.write(head(body.length));
        socket.end(body.subarray(0, -1));
      });
      const { body: chunks } = await send();
      let bytes = 0;
      const all = async (): Promise<void> => {
        for await (const chunk of chunks) bytes += chunk.length;
      };
      await assert.rejects(all(), isCode('registry-failing', /broke off in the middle of an answer/));
      assert.equal(bytes, body.length - 1);
    });

    it('that stalls is an error', async () => {
      server.answers.push((socket) => {
        socket.write(head(body.length));
        socket.write(body.subarray(0, 100_000));
      });
      await assert.rejects(read(), isCode('registry-failing', /sends less than 1000 bytes per second/));
    });

    it('with more behind it than was promised ends the connection', async () => {
      server.answers.push((socket) => {
        socket.write(
          Buffer.concat([Buffer.from(head(body.length)), body, Buffer.from(head(3)), Buffer.from('bad')]),
        );
      }, whole);
      for (const _ of [1, 2]) assert.ok((await read()).equals(body));
      assert.equal(server.connections, 2);
    });

    it('is never what came before it was asked for', async () => {
      server.answers.push(async (socket) => {
        await whole(socket);
        await sleep(100);
        socket.write(`${head(4)}evil`);
      }, whole);
      assert.ok((await read()).equals(body));
      await sleep(300);
      assert.ok((await read()).equals(body));
      assert.equal(server.connections, 2);
    });

    it('ends at once when it is not wanted any more', async () => {
      const closed = new Promise((resolve) => {
        server.answers.push((socket) => {
          socket.once('close', resolve);
          socket.write(head(body.length));
          socket.write(body.subarray(0, 100_000));
        });
      });
      const gone = new AbortController();
      const { body: chunks } = await send(gone.signal);
      const all = async (): Promise<void> => {
        for await (const _ of chunks) setTimeout(() => gone.abort(new Error('no longer')), 50);
      };
      await assert.rejects(all(), /no longer/);
      await closed;
    });

    it('that nobody reads can be discarded', async () => {
      const closed = new Promise((resolve) => {
        server.answers.push((socket) => {
          socket.once('close', resolve);
          void whole(socket);
        });
      });
      (await send()).discard();
      await closed;
    });
  });
}
