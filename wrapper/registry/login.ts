/** What a user has to log in with at one registry. */
export interface Login {
  /** Empty, as are the next two, if there is no login. "<token>" says that the password is an identity token. */
  username: string;
  password: Buffer;
  /** Takes the place of name and password at token services: an OAuth2 refresh token. */
  identityToken: Buffer;
  /** Where it is from, for sentences: "~/.docker/config.json". */
  source: string;
  /** Why there is none though there should be, as a clause; or empty. */
  problem: string;
}

/** Asks whoever is served for a login; `registry` is a host[:port] as in a reference. */
export type AskLogin = (registry: string, repository: string) => Promise<Login | undefined>;

/** The request that a session belonged to has ended; whoever still wants the bytes needs a session of their own. */
export class SessionClosed extends Error {
  constructor() {
    super('the session with the registry has ended');
    this.name = 'SessionClosed';
  }
}

/** docker's name for an identity token where only a name and a password can be kept. */
const identityTokenName = '<token>';

/**
 * A login while it is in use. It owns the bytes that it was made from and overwrites them when it is closed.
 * Strings made of them for a header live until they are collected; nothing here keeps one.
 */
export class Credentials {
  readonly username: string;
  readonly source: string;
  readonly #password: Buffer;
  readonly #identityToken: Buffer;
  #isClosed = false;

  private constructor({ username, password, identityToken, source }: Login) {
    const isToken = username === identityTokenName && identityToken.length === 0;
    this.username = username === identityTokenName ? '' : username;
    this.source = source;
    this.#password = isToken ? Buffer.alloc(0) : password;
    this.#identityToken = isToken ? password : identityToken;
  }

  /** Undefined if there is nothing to log in with. */
  static from(login: Login | undefined): Credentials | undefined {
    if (!login || (login.username === '' && login.identityToken.length === 0)) return undefined;
    return new Credentials(login);
  }

  get isIdentityToken(): boolean {
    return this.#identityToken.length > 0;
  }

  /** Whether RFC 7617 can carry it: a name without ":". */
  get isBasic(): boolean {
    return this.username !== '' && !this.username.includes(':') && !/\p{Cc}/u.test(this.username);
  }

  /** The value of an Authorization header. Throws SessionClosed. */
  basic(): string {
    this.#checkOpen();
    const pair = Buffer.concat([Buffer.from(`${this.username}:`), this.#password]);
    const header = `Basic ${pair.toString('base64')}`;
    pair.fill(0);
    return header;
  }

  /** Throws SessionClosed. */
  identityToken(): string {
    this.#checkOpen();
    return this.#identityToken.toString();
  }

  /** Whether any of the secrets stands in `text`, as it is or as base64. */
  appearsIn(text: string): boolean {
    const secrets = [this.#password, this.#identityToken].filter(({ length }) => length > 0);
    return (
      secrets.some((secret) => text.includes(secret.toString())) ||
      (this.isBasic && !this.#isClosed && text.includes(this.basic().slice('Basic '.length)))
    );
  }

  close(): void {
    this.#isClosed = true;
    this.#password.fill(0);
    this.#identityToken.fill(0);
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new SessionClosed();
  }
}
