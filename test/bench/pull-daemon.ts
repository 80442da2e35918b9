import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { Client, credentials } from '@grpc/grpc-js';

import { protocol } from '../../wrapper/package-root.js';
import { imageService, type PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import { waitFor } from '../cluster/wait.js';
import { ordinaryUser } from './command.js';
import { freshDirectory } from './tree.js';

/** How long the daemon is left alone before its memory counts as that of an idle one. */
const restMs = 5000;

/** A stowaged of its own process, as a service runs it, with an empty store. */
export class PullDaemon {
  private constructor(
    private readonly child: ChildProcess,
    private readonly client: Client,
  ) {}

  /** `prefix` is where Stowage is installed; the store comes below `directory`, which is emptied. */
  static async start(
    prefix: string,
    directory: string,
    registry: string,
    signal: AbortSignal,
  ): Promise<PullDaemon> {
    freshDirectory(directory);
    const config = `${directory}/stowage.toml`;
    const socket = `${directory}/api.sock`;
    writeFileSync(
      config,
      `[listen]\nsocket = "${socket}"\nblob_socket = "${directory}/blobs.sock"\n` +
        `[store]\ndirectory = "${directory}/store"\n[registries."${registry}"]\nhttp = true\n`,
    );
    const child = spawn(`${prefix}/bin/stowaged`, ['--config', config], {
      ...ordinaryUser,
      cwd: '/',
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-2000)));
    const isUp = () => {
      if (child.exitCode !== null) throw new Error(`stowaged ended:\n${log}`);
      return existsSync(socket);
    };
    await waitFor(isUp, { failure: 'stowaged did not start', timeoutMs: 20_000, signal });
    return new PullDaemon(child, new Client(`unix:${socket}`, credentials.createInsecure()));
  }

  /** Brings an image into the store. Returns the seconds from the call to the plan. */
  async pull(reference: string, signal: AbortSignal): Promise<number> {
    const start = performance.now();
    const { path, requestSerialize, responseDeserialize } = imageService.prepare;
    const call = this.client.makeBidiStreamRequest(
      path,
      requestSerialize as (request: object) => Buffer,
      responseDeserialize as (bytes: Buffer) => PrepareResponseMessage,
    );
    const stop = () => call.cancel();
    signal.addEventListener('abort', stop, { once: true });
    try {
      call.write({ client: { protocol, software: 'bench' }, reference, prefetch: true });
      call.end();
      let hasPlan = false;
      for await (const event of call) hasPlan ||= Boolean((event as PrepareResponseMessage).plan);
      if (!hasPlan) throw new Error(`stowaged gave no plan for ${reference}`);
      return (performance.now() - start) / 1000;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** The most that was resident so far, from proc(5) VmHWM. */
  peakBytes(): number {
    return this.#memory('VmHWM');
  }

  /** What is resident some seconds after the last pull. */
  async idleBytes(signal: AbortSignal): Promise<number> {
    await sleep(restMs, undefined, { signal });
    return this.#memory('VmRSS');
  }

  async stop(): Promise<void> {
    this.client.close();
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    await ended;
  }

  #memory(name: 'VmHWM' | 'VmRSS'): number {
    const status = readFileSync(`/proc/${this.child.pid ?? 0}/status`, 'utf8');
    return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  }
}
