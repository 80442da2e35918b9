import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';

import { Client, credentials } from '@grpc/grpc-js';

import { imageService, type PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import { installed } from './installed.js';
import { client, eventsOf, type Request } from './test-daemon.js';

/** As whom daemons run that are processes of their own: stowaged does not run as root. */
const ordinary = 65432;
const isRoot = process.getuid?.() === 0;

/** A directory that a DaemonProcess may write to, and nobody else. */
export const makeOwnDirectory = (path: string): string => {
  mkdirSync(path, { mode: 0o700 });
  if (isRoot) chownSync(path, ordinary, ordinary);
  return path;
};

/** A stowaged in a process of its own, as an ordinary user. */
export class DaemonProcess {
  private constructor(
    readonly directory: string,
    private readonly child: ChildProcess,
    private readonly grpc: Client,
  ) {}

  /**
   * Below `directory`, which is of makeOwnDirectory. Its store is in `store`; with `tmpfs`, options of mount(8), on
   * a file system of its own, which nobody else sees and which takes root to make.
   */
  static async start(
    directory: string,
    registryHost: string,
    store = '',
    tmpfs?: string,
  ): Promise<DaemonProcess> {
    const config = `${directory}/stowaged.toml`;
    writeFileSync(
      config,
      `[listen]
       socket = "${directory}/api.sock"
       blob_socket = "${directory}/blobs.sock"
       [store]
       directory = "${directory}/store"
       min_free_bytes = 0
       ${store}
       [registries."${registryHost}"]
       http = true`,
    );
    const command = [installed('stowaged'), '--config', config];
    const [program = '', ...args] =
      tmpfs === undefined ? command : [...onTmpfs(`${directory}/store`, tmpfs), ...command];
    const child = spawn(program, args, {
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe'],
      ...(isRoot && tmpfs === undefined ? { uid: ordinary, gid: ordinary } : {}),
    });
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr.on('data', (text: Buffer) => {
        said += text.toString();
        if (said.includes('"event":"started"')) resolve();
      });
      child.once('exit', () => reject(new Error(`stowaged ended: ${said}`)));
    });
    const grpc = new Client(`unix:${directory}/api.sock`, credentials.createInsecure());
    return new DaemonProcess(directory, child, grpc);
  }

  /** Its store, also if that is on a file system of its own. */
  get store(): string {
    return `/proc/${this.child.pid}/root${this.directory}/store`;
  }

  /** The events of one call until the plan. */
  async prepare(reference: string): Promise<PrepareResponseMessage[]> {
    const { path, requestSerialize, responseDeserialize } = imageService.prepare;
    const call = this.grpc.makeBidiStreamRequest(
      path,
      requestSerialize as (request: Request) => Buffer,
      responseDeserialize as (bytes: Buffer) => PrepareResponseMessage,
    );
    call.write({ client, reference });
    call.end();
    return eventsOf(call);
  }

  /** SIGKILL by default: from one moment to the next nothing of it is there any more. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    this.grpc.close();
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill(signal);
    await ended;
  }
}

/** What runs a command as an ordinary user who finds a tmpfs there. */
function onTmpfs(place: string, options: string): string[] {
  const script = 'mkdir -p "$2" && mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"';
  const owned = `${options},mode=700,uid=${ordinary},gid=${ordinary}`;
  const drop = ['setpriv', `--reuid=${ordinary}`, `--regid=${ordinary}`, '--clear-groups'];
  return ['unshare', '--mount', '--propagation=private', 'sh', '-ec', script, 'sh', owned, place, ...drop];
}
