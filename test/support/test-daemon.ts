import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Client, type ClientDuplexStream, credentials, type ServiceError, type status } from '@grpc/grpc-js';

import type { stowage } from '#proto';

import { parseConfigFile } from '../../wrapper/config/load.js';
import { Daemon } from '../../wrapper/daemon.js';
import { protocol } from '../../wrapper/package-root.js';
import { imageService, type PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import { logTo } from '../../wrapper/telemetry/log.js';
import { FaultRegistry } from './fault-registry.js';

export const client = { protocol, software: 'test' };

export type Request = Partial<stowage.v1.PrepareRequest.$Properties>;
export type Call = ClientDuplexStream<Request, PrepareResponseMessage>;
/** By registry. */
export type Logins = Record<string, { username: string; password: string }>;

/** A stowaged in the test's own process, a registry for it, and a client. */
export class TestDaemon {
  readonly log: Record<string, unknown>[] = [];
  #stopped = true;

  private constructor(
    readonly directory: string,
    readonly registry: FaultRegistry,
    private daemon: Daemon,
    public grpc: Client,
  ) {}

  static async start(): Promise<TestDaemon> {
    const directory = await mkdtemp(join(tmpdir(), 'stowaged-'));
    const registry = await FaultRegistry.start();
    const unset = undefined as unknown;
    const suite = new TestDaemon(directory, registry, unset as Daemon, unset as Client);
    await suite.startDaemon();
    return suite;
  }

  /** `more` is added to the configuration, in front, and `store` to what it says about the store. */
  async startDaemon(more = '', store = ''): Promise<void> {
    const { directory } = this;
    const config = parseConfigFile(
      `${more}
       [listen]
       socket = "${directory}/api.sock"
       blob_socket = "${directory}/blobs.sock"
       [store]
       directory = "${directory}/store"
       ${store}
       [registries."${this.registry.host}"]
       http = true`,
      'test',
    );
    this.daemon = await Daemon.start(
      config,
      logTo((line) => this.log.push(JSON.parse(line) as Record<string, unknown>)),
    );
    this.#stopped = false;
    this.grpc = new Client(`unix:${directory}/api.sock`, credentials.createInsecure());
  }

  async stopDaemon(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.daemon.stop();
    this.grpc.close();
  }

  async end(): Promise<void> {
    this.grpc.close();
    await this.stopDaemon();
    await this.registry.stop();
    await rm(this.directory, { recursive: true });
  }

  /** A call on which nothing was said yet. */
  open(grpc = this.grpc): Call {
    const { path, requestSerialize, responseDeserialize } = imageService.prepare;
    return grpc.makeBidiStreamRequest(
      path,
      requestSerialize as (request: Request) => Buffer,
      responseDeserialize as (bytes: Buffer) => PrepareResponseMessage,
    );
  }

  /** A call with one request; whoever makes it has these logins. */
  call(request: Request = {}, logins: Logins = {}, grpc = this.grpc): Call {
    const call = this.open(grpc);
    call.write({ client, reference: `${this.registry.host}/team/app:1`, ...request });
    call.on('data', ({ loginWanted, plan }: PrepareResponseMessage) => {
      if (loginWanted) call.write({ login: loginFrom(logins, loginWanted.registry ?? '') });
      if (plan) call.end();
    });
    return call;
  }

  async prepare(request?: Request, logins?: Logins, grpc?: Client): Promise<PrepareResponseMessage[]> {
    return eventsOf(this.call(request, logins, grpc));
  }

  async plan(request?: Request, logins?: Logins, grpc?: Client) {
    return (await this.prepare(request, logins, grpc)).at(-1)?.plan ?? assert.fail('no plan');
  }

  /** See redeem. */
  redeem(ticket: Uint8Array): Promise<number | undefined> {
    return redeem(`${this.directory}/blobs.sock`, ticket);
  }
}

/** What a blob socket answers: 0 for descriptors, 1 for a refusal, undefined for nothing. */
export function redeem(path: string, ticket: Uint8Array): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.write(ticket));
    socket.once('data', (answer) => {
      socket.destroy();
      resolve(answer[0]);
    });
    socket.once('close', () => resolve(undefined));
    socket.once('error', () => resolve(undefined));
  });
}

function loginFrom(logins: Logins, registry: string): stowage.v1.Login.$Properties {
  const login = logins[registry];
  if (!login) return { registry };
  return { registry, username: login.username, password: Buffer.from(login.password), source: 'auth.json' };
}

export async function eventsOf(call: Call): Promise<PrepareResponseMessage[]> {
  const events: PrepareResponseMessage[] = [];
  for await (const event of call) events.push(event as PrepareResponseMessage);
  return events;
}

/** For assert.rejects of a call. */
export const failure =
  (code: status, stowageCode: string, reason: RegExp) =>
  (error: ServiceError): true => {
    assert.equal(error.code, code, error.message);
    assert.deepEqual(error.metadata.get('stowage-code'), [stowageCode]);
    assert.match(error.details, reason);
    return true;
  };
