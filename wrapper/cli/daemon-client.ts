import { connect } from 'node:net';
import { hostname } from 'node:os';

import {
  Client,
  type ClientDuplexStream,
  credentials,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';

import { reasonOf, systemErrorCode } from '../error.js';
import { escapeControls } from '../image/quote.js';
import { protocol, release } from '../package-root.js';
import type { Login } from '../registry/session.js';
import {
  type GetStatusResponseMessage,
  imageService,
  type ListImagesResponseMessage,
  nodeService,
  type PrepareRequestMessage,
  type PrepareResponseMessage,
  type PruneRequestMessage,
  type PruneResponseMessage,
} from '../rpc/definitions.js';
import { codeTrailer } from '../rpc/status.js';
import { CommandError } from './command-error.js';

/** How long answers may take: one out of memory, one for which files are looked at, one for which they are removed. */
const answerMs = 10_000;
const listMs = 60_000;
const pruneMs = 600_000;
/** image.proto: the daemon says something every five seconds, and after thirty it may be given up. */
const silenceMs = 30_000;

type PrepareCall = ClientDuplexStream<Partial<PrepareRequestMessage>, PrepareResponseMessage>;
type Plan = NonNullable<PrepareResponseMessage['plan']>;

export interface PullEvents {
  onProgress: (progress: NonNullable<PrepareResponseMessage['progress']>) => void;
  /** For a registry that wants to know who asks. */
  askLogin: (registry: string, repository: string) => Promise<Login | undefined>;
}

/** The stowaged of this node, as a user's program sees it. Every method throws CommandError with its sentence. */
export class DaemonClient {
  private constructor(
    private readonly grpc: Client,
    private readonly socket: string,
    private readonly signal: AbortSignal,
  ) {}

  /** Throws CommandError if nobody listens there, or somebody whose protocol is another. */
  static async connect(socket: string, signal: AbortSignal): Promise<DaemonClient> {
    signal.throwIfAborted();
    await knock(socket);
    const grpc = new Client(`unix:${socket}`, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 });
    const client = new DaemonClient(grpc, socket, signal);
    try {
      await client.#checkVersion();
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  status(): Promise<GetStatusResponseMessage> {
    return this.#ask(nodeService.getStatus, {}, answerMs);
  }

  images(allUsers: boolean): Promise<ListImagesResponseMessage> {
    return this.#ask(nodeService.listImages, { allUsers }, listMs);
  }

  prune(
    request: Pick<PruneRequestMessage, 'references' | 'unusedSeconds' | 'allUsers' | 'dryRun'>,
  ): Promise<PruneResponseMessage> {
    return this.#ask(nodeService.prune, request, pruneMs);
  }

  /** Brings an image onto this node. To abort the signal cancels it. */
  async pull(
    request: Pick<PrepareRequestMessage, 'reference' | 'pull'>,
    { onProgress, askLogin }: PullEvents,
  ): Promise<Plan> {
    this.signal.throwIfAborted();
    const { path, requestSerialize, responseDeserialize } = imageService.prepare;
    const call: PrepareCall = this.grpc.makeBidiStreamRequest(
      path,
      requestSerialize as (message: Partial<PrepareRequestMessage>) => Buffer,
      responseDeserialize as (bytes: Buffer) => PrepareResponseMessage,
    );
    const silent = new AbortController();
    const silence = setTimeout(() => silent.abort(), silenceMs);
    const until = AbortSignal.any([this.signal, silent.signal]);
    const cancel = (): void => call.cancel();
    until.addEventListener('abort', cancel, { once: true });
    call.write({ client: { protocol, software: `stowage ${release}` }, prefetch: true, ...request });
    let plan: Plan | undefined;
    try {
      for await (const event of call as AsyncIterable<PrepareResponseMessage>) {
        silence.refresh();
        const { progress, loginWanted } = event;
        if (progress) onProgress(progress);
        if (loginWanted) {
          const { registry = '', repository = '' } = loginWanted;
          call.write({
            login: { registry: registry ?? '', ...(await askLogin(registry ?? '', repository ?? '')) },
          });
        }
        if (event.plan) {
          plan = event.plan;
          call.end();
        }
      }
    } catch (error) {
      this.signal.throwIfAborted();
      throw this.#explain(error, silent.signal.aborted ? silenceMs : undefined);
    } finally {
      clearTimeout(silence);
      until.removeEventListener('abort', cancel);
      call.cancel();
    }
    if (!plan) throw new CommandError(`stowaged on ${this.socket} ended without an answer; try again`);
    return plan;
  }

  close(): void {
    this.grpc.close();
  }

  async #checkVersion(): Promise<void> {
    const { server } = await this.#ask(imageService.getVersion, {}, answerMs);
    if (server?.protocol === protocol) return;
    throw new CommandError(
      `stowage and stowaged do not fit: stowage ${release} speaks protocol ${protocol}, ` +
        `${server?.software || 'stowaged'} on ${this.socket} speaks ${server?.protocol ?? 0}; install both from one release`,
    );
  }

  #ask<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: NoInfer<Request>,
    deadlineMs: number,
  ): Promise<Response> {
    const { path, requestSerialize, responseDeserialize } = method;
    return new Promise((resolve, reject) => {
      const call = this.grpc.makeUnaryRequest(
        ...([path, requestSerialize, responseDeserialize, request] as const),
        { deadline: Date.now() + deadlineMs },
        (error, response) => {
          this.signal.removeEventListener('abort', cancel);
          if (this.signal.aborted) reject(this.signal.reason as Error);
          else if (error) reject(this.#explain(error, deadlineMs));
          else resolve(response as Response);
        },
      );
      const cancel = (): void => call.cancel();
      this.signal.addEventListener('abort', cancel, { once: true });
    });
  }

  /** `waitedMs`: how long it was waited for if the time was up. */
  #explain(error: unknown, waitedMs: number | undefined): CommandError {
    const { code, details, metadata } = error as Partial<ServiceError>;
    const isOver = code === status.DEADLINE_EXCEEDED || code === status.CANCELLED;
    const where = `stowaged on ${this.socket}`;
    if ((metadata?.get(codeTrailer).length ?? 0) > 0) {
      // A sentence of stowaged's own.
      return new CommandError(details ?? '', { cause: error });
    }
    if (isOver && waitedMs !== undefined) {
      return new CommandError(
        `${where} said nothing for ${waitedMs / 1000} s; try again later, or tell the administrators`,
        { cause: error },
      );
    }
    if (code === status.UNIMPLEMENTED) {
      return new CommandError(`${where} is of another release than this stowage; install both from one`, {
        cause: error,
      });
    }
    const reason = escapeControls(details ?? reasonOf(error)).slice(0, 300);
    return new CommandError(`the connection to ${where} broke (${reason}); try again`, { cause: error });
  }
}

/** gRPC would not say why it cannot connect. */
async function knock(socket: string): Promise<void> {
  const connection = connect(socket);
  try {
    await new Promise<void>((resolve, reject) => {
      connection.once('connect', resolve).once('error', reject);
    });
  } catch (error) {
    const code = systemErrorCode(error) ?? '';
    if (['ENOENT', 'ECONNREFUSED', 'ENOTDIR'].includes(code)) {
      throw new CommandError(
        `no stowaged listens on ${socket} of ${hostname()}; login nodes have none: run this in a job, as in ` +
          '"srun stowage images"; if this is a compute node, tell the administrators',
        { cause: error },
      );
    }
    const reason = code === 'EACCES' ? 'it is not open to you' : reasonOf(error);
    throw new CommandError(`stowaged cannot be asked on ${socket} (${reason}); tell the administrators`, {
      cause: error,
    });
  } finally {
    connection.destroy();
  }
}
