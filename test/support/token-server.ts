import { createHash, createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { selfSigned, type Certificate } from './certificates.js';
import type { Access } from './docker-registry.js';

export interface TokenUser {
  readonly password: string;
  /** What docker calls an identity token: takes the place of name and password. */
  readonly identityToken?: string;
  /** What the user may pull from and push to. */
  readonly repositories: readonly string[];
}

export interface TokenServerOptions {
  readonly users: Readonly<Record<string, TokenUser>>;
  /** Repositories that everybody may pull from. */
  readonly open?: readonly string[];
  /** Default 300. */
  readonly lifetimeSeconds?: number;
}

/** What somebody sent to get a token. */
export interface TokenRequest {
  readonly method: string;
  readonly proof: 'nothing' | 'basic' | 'password' | 'refresh_token';
  /** The name that was sent; empty with a refresh token and without a login. */
  readonly username: string;
  /** Password or refresh token, as sent. */
  readonly secret: string;
  /** "repository:team/app:pull" */
  readonly scopes: readonly string[];
  /** 200 or 401. */
  readonly status: number;
}

interface Grant {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

const issuer = 'stowage-test';
const service = 'stowage-test-registry';

/** A token service in the test's own process, as docker's specifications "token" and "oauth" have it. */
export class TokenServer {
  readonly requests: TokenRequest[] = [];
  /** All tokens that were given out. */
  readonly issued: string[] = [];
  readonly #signer: Certificate = selfSigned('stowage-test-tokens');

  private constructor(
    private readonly server: Server,
    private readonly options: TokenServerOptions,
  ) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void this.#answer(request, response);
    });
  }

  static async start(options: TokenServerOptions): Promise<TokenServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new TokenServer(server, options);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** "http://127.0.0.1:40123", as it stands in token_realms. */
  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** For a registry that takes the tokens of this server. */
  get access(): Access {
    const { certificate } = this.#signer;
    return { kind: 'token', realm: `${this.origin}/token`, service, issuer, certificate };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.origin);
    const form = request.method === 'POST' ? new URLSearchParams(await textOf(request)) : url.searchParams;
    const { proof, username, secret } = proofOf(request, form);
    // Several may stand in one parameter, separated by spaces, or in a parameter each.
    const scopes = form.getAll('scope').flatMap((scope) => scope.split(' ').filter((word) => word !== ''));
    const user = this.#userOf(proof, username, secret);
    const status = url.pathname !== '/token' ? 404 : user === null ? 401 : 200;
    this.requests.push({ method: request.method ?? '', proof, username, secret, scopes, status });
    if (status !== 200 || user === null) {
      response.writeHead(status, { 'content-type': 'application/json' }).end('{"errors":[]}');
      return;
    }
    const token = this.#token(user, scopes);
    this.issued.push(token);
    const { lifetimeSeconds = 300 } = this.options;
    const body = { token, access_token: token, expires_in: lifetimeSeconds, scope: scopes.join(' ') };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  /** undefined for everybody, null for somebody who is refused. */
  #userOf(proof: TokenRequest['proof'], username: string, secret: string): string | undefined | null {
    if (proof === 'nothing') return undefined;
    const users = Object.entries(this.options.users);
    const found = users.find(([name, user]) =>
      proof === 'refresh_token'
        ? user.identityToken === secret
        : name === username && user.password === secret,
    );
    return found?.[0] ?? null;
  }

  #token(user: string | undefined, scopes: readonly string[]): string {
    const now = Math.floor(Date.now() / 1000);
    const { lifetimeSeconds = 300 } = this.options;
    const claims = {
      iss: issuer,
      sub: user ?? '',
      aud: service,
      // Clocks of one host agree, but docker-registry compares whole seconds.
      nbf: now - 5,
      iat: now - 5,
      exp: now + lifetimeSeconds,
      jti: randomUUID(),
      access: scopes.flatMap((scope) => this.#grant(user, scope)),
    };
    const header = { typ: 'JWT', alg: 'ES256', kid: keyId(this.#signer.certificate) };
    const signed = [header, claims].map((part) => base64url(JSON.stringify(part))).join('.');
    const key = createPrivateKey(this.#signer.key);
    const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${signature.toString('base64url')}`;
  }

  #grant(user: string | undefined, scope: string): Grant[] {
    const [, type = '', name = '', actions = ''] = /^([^:]+):(.+):([^:]*)$/.exec(scope) ?? [];
    const all = user !== undefined && this.options.users[user]?.repositories.includes(name) === true;
    const some = this.options.open?.includes(name) === true;
    const granted = actions.split(',').filter((action) => all || (some && action === 'pull'));
    return type === 'repository' && granted.length > 0 ? [{ type, name, actions: granted }] : [];
  }
}

const base64url = (text: string): string => Buffer.from(text).toString('base64url');

const textOf = async (request: IncomingMessage): Promise<string> => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
};

const proofOf = (
  request: IncomingMessage,
  form: URLSearchParams,
): Pick<TokenRequest, 'proof' | 'username' | 'secret'> => {
  if (request.method === 'POST') {
    const grant = form.get('grant_type');
    if (grant === 'refresh_token')
      return { proof: grant, username: '', secret: form.get('refresh_token') ?? '' };
    return { proof: 'password', username: form.get('username') ?? '', secret: form.get('password') ?? '' };
  }
  const basic = /^Basic (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (basic === undefined) return { proof: 'nothing', username: '', secret: '' };
  const [, username = '', secret = ''] =
    /^([^:]*):(.*)$/s.exec(Buffer.from(basic, 'base64').toString()) ?? [];
  return { proof: 'basic', username, secret };
};

/** How docker's libtrust names a public key: 240 bits of its hash, in base 32, in groups of four. */
const keyId = (certificate: string): string => {
  const der = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...createHash('sha256').update(der).digest().subarray(0, 30)]
    .map((byte) => byte.toString(2).padStart(8, '0'))
    .join('');
  const letters = (bits.match(/.{5}/g) ?? []).map((five) => alphabet[parseInt(five, 2)]).join('');
  return (letters.match(/.{4}/g) ?? []).join(':');
};
