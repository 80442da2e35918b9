import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { freePorts } from '../cluster/ports.js';
import { account } from '../cluster/users.js';
import { waitFor } from '../cluster/wait.js';
import type { Certificate } from './certificates.js';
import { run, type OciImage } from './oci-image.js';

/** Who may use a registry: everybody, those with a password, or whom a token service sends. */
export type Access =
  | { readonly kind: 'open' }
  | { readonly kind: 'htpasswd'; readonly users: Readonly<Record<string, string>> }
  | {
      readonly kind: 'token';
      readonly realm: string;
      readonly service: string;
      readonly issuer: string;
      /** PEM of the certificates with whose keys tokens may be signed. */
      readonly certificate: string;
    };

export interface RegistrySettings {
  readonly port: number;
  /** Default: open. */
  readonly access?: Access;
  /** Default: plain HTTP. */
  readonly tls?: Certificate;
  /** Whether it is killed when the process that started it is gone. Default: it stays. */
  readonly endsWithStarter?: boolean;
}

/** One line of the access log. */
export interface LoggedRequest {
  readonly method: string;
  /** With the query: "/v2/team/app/blobs/sha256:…". */
  readonly path: string;
  readonly status: number;
  /** Of the answer's body. */
  readonly bytes: number;
}

/** What skopeo calls credentials. */
export interface SkopeoLogin {
  readonly username: string;
  readonly password: string;
}

/** `docker-registry` runs as the user of its Debian package where that is possible. */
const owner = (): { uid: number; gid: number } | undefined =>
  process.getuid?.() === 0 ? account('docker-registry') : undefined;

// Debian's perl-base, which every system has, knows bcrypt by way of crypt(3). 2^5 rounds, for tests only.
const bcrypt = (password: string): string => {
  const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  // The last of the 22 characters holds two bits only.
  const salt = [...randomBytes(21)].map((byte) => alphabet[byte % 64]).join('');
  return execFileSync('perl', ['-e', 'print crypt($ARGV[0], $ARGV[1])', password, `$2y$05$${salt}.`], {
    encoding: 'utf8',
  });
};

/**
 * Writes what a docker-registry on the loopback interface needs below `directory`, and returns the command that runs
 * it, as its own user. Its access log goes to standard output, errors to standard error.
 */
export const registryCommand = (directory: string, settings: RegistrySettings): string[] => {
  const { port, access = { kind: 'open' }, tls, endsWithStarter = false } = settings;
  const user = owner();
  const own = (name: string, content?: string): string => {
    const path = join(directory, name);
    if (content === undefined) mkdirSync(path, { recursive: true });
    else writeFileSync(path, content, { mode: 0o600 });
    if (user) chownSync(path, user.uid, user.gid);
    return path;
  };
  const auth = (): object => {
    switch (access.kind) {
      case 'open':
        return {};
      case 'htpasswd': {
        const lines = Object.entries(access.users).map(([name, password]) => `${name}:${bcrypt(password)}\n`);
        return { htpasswd: { realm: 'registry', path: own('htpasswd', lines.join('')) } };
      }
      case 'token': {
        const { realm, service, issuer, certificate } = access;
        return { token: { realm, service, issuer, rootcertbundle: own('token.pem', certificate) } };
      }
    }
  };
  const content = {
    version: 0.1,
    log: { level: 'info' },
    auth: auth(),
    storage: { filesystem: { rootdirectory: own('registry') }, delete: { enabled: true } },
    http: {
      addr: `127.0.0.1:${port}`,
      ...(tls && {
        tls: { certificate: own('server.pem', tls.certificate), key: own('server.key', tls.key) },
      }),
    },
  };
  // JSON is YAML.
  const config = own('registry.json', JSON.stringify(content));
  const identity = user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'] : [];
  const ending = endsWithStarter ? ['--pdeathsig=KILL'] : [];
  return ['setpriv', ...identity, ...ending, '--', 'docker-registry', 'serve', config];
};

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

/** Debian's docker-registry, for as long as a test needs it. It does not outlive this process. */
export class DockerRegistry {
  #process: ChildProcess | undefined;

  private constructor(
    private readonly directory: string,
    private readonly settings: RegistrySettings,
  ) {}

  static async start(settings: Pick<RegistrySettings, 'access' | 'tls'> = {}): Promise<DockerRegistry> {
    const [port = 0] = await freePorts(1);
    const directory = mkdtempSync(join(tmpdir(), 'stowage-registry-'));
    chmodSync(directory, 0o755);
    const registry = new DockerRegistry(directory, { ...settings, port, endsWithStarter: true });
    await registry.restart();
    return registry;
  }

  /** "localhost:23456", as it stands in a reference. */
  get host(): string {
    return `localhost:${this.settings.port}`;
  }

  /** After stop(): the same registry, with the same content, at the same place. */
  async restart(): Promise<void> {
    if (this.#process) return;
    const [program = '', ...args] = registryCommand(this.directory, this.settings);
    const log = openSync(this.#log, 'a');
    const child = spawn(program, args, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#process = child;
    await waitFor(() => child.exitCode !== null || accepts(this.settings.port), {
      failure: 'docker-registry did not answer',
      timeoutMs: 20_000,
    });
    if (child.exitCode !== null)
      throw new Error(`docker-registry ended:\n${readFileSync(this.#log, 'utf8')}`);
  }

  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'exit');
    child.kill();
    const patience = setTimeout(() => child.kill('SIGKILL'), 5000);
    await closed;
    clearTimeout(patience);
  }

  /** Stops it and removes all that it had. */
  async end(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true });
  }

  /** All answered requests whose path matches, oldest first. The log may lag behind the answers a little. */
  requests(path: RegExp, method = 'GET'): LoggedRequest[] {
    return parseAccessLog(readFileSync(this.#log, 'utf8')).filter(
      (request) => request.method === method && path.test(request.path),
    );
  }

  /** As requests(), once nothing was added to the log for a while. */
  async settledRequests(path: RegExp, method = 'GET'): Promise<LoggedRequest[]> {
    for (let before = -1, now = 0; before !== now;) {
      before = now;
      await sleep(200);
      now = readFileSync(this.#log).length;
    }
    return this.requests(path, method);
  }

  /**
   * How often each blob of a repository that everybody may read was sent, by digest: all its bytes once are 1, in
   * however many parts.
   */
  async copiesSent(repository: string): Promise<Map<string, number>> {
    const sent = new Map<string, number>();
    for (const { path, bytes } of await this.settledRequests(new RegExp(`/${repository}/blobs/`))) {
      const digest = path.slice(path.lastIndexOf('/') + 1);
      sent.set(digest, (sent.get(digest) ?? 0) + bytes);
    }
    for (const [digest, bytes] of sent) {
      const url = `http://${this.host}/v2/${repository}/blobs/${digest}`;
      const { headers } = await fetch(url, { method: 'HEAD' });
      sent.set(digest, bytes / Number(headers.get('content-length')));
    }
    return sent;
  }

  /** Makes what came before invisible to requests(). */
  forgetRequests(): void {
    writeFileSync(this.#log, '');
  }

  /** All that it printed since forgetRequests(). */
  log(): string {
    return readFileSync(this.#log, 'utf8');
  }

  /** Returns the reference. */
  async push(image: OciImage, name: string, login?: SkopeoLogin): Promise<string> {
    const reference = `${this.host}/${name}`;
    const options = ['--insecure-policy', '--quiet', '--dest-tls-verify=false'];
    if (login) options.push('--dest-creds', `${login.username}:${login.password}`);
    await run('skopeo', ['copy', ...options, `oci:${image.directory}:image`, `docker://${reference}`]);
    return reference;
  }

  get #log(): string {
    return join(this.directory, 'registry.log');
  }
}

/** The lines of docker-registry's output that are of its access log, in Apache's "combined" format. */
const parseAccessLog = (text: string): LoggedRequest[] =>
  text.split('\n').flatMap((line) => {
    const match = /^\S+ \S+ \S+ \[[^\]]*\] "([A-Z]+) (\S+) [^"]*" (\d+) (\d+)/.exec(line);
    if (!match) return [];
    const [, method = '', path = '', status, bytes] = match;
    return [{ method, path, status: Number(status), bytes: Number(bytes) }];
  });
