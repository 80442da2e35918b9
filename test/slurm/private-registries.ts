import { randomBytes } from 'node:crypto';

import type { TomlTable } from 'smol-toml';

import { busyboxImageSaying } from '../support/busybox-image.js';
import { DockerRegistry } from '../support/docker-registry.js';
import { TokenServer } from '../support/token-server.js';

export interface Person {
  readonly username: string;
  readonly password: string;
  readonly identityToken: string;
}

const person = (username: string): Person => ({
  username,
  password: randomBytes(12).toString('hex'),
  identityToken: randomBytes(12).toString('hex'),
});

/** As it stands in the files of docker and podman. */
export const basic = ({ username, password }: Person): string =>
  Buffer.from(`${username}:${password}`).toString('base64');

/**
 * Two registries that show nothing without a login. With `passwords` Alice may do all and Bob nothing; with `tokens`
 * each may use the repositories that begin with their name.
 */
export class PrivateRegistries {
  private constructor(
    readonly alice: Person,
    readonly bob: Person,
    readonly passwords: DockerRegistry,
    readonly tokens: DockerRegistry,
    readonly tokenServer: TokenServer,
  ) {}

  static async start(): Promise<PrivateRegistries> {
    const alice = person('alice');
    const bob = person('bob');
    const tokenServer = await TokenServer.start({
      users: {
        alice: { ...alice, repositories: ['alice/app'] },
        bob: { ...bob, repositories: ['bob/app'] },
      },
    });
    const [passwords, tokens] = await Promise.all([
      DockerRegistry.start({ access: { kind: 'htpasswd', users: { alice: alice.password } } }),
      DockerRegistry.start({ access: tokenServer.access }),
    ]);
    return new PrivateRegistries(alice, bob, passwords, tokens, tokenServer);
  }

  /** What stowage.toml has to say of them. */
  get settings(): TomlTable {
    return {
      [this.passwords.host]: { http: true },
      [this.tokens.host]: { http: true, token_realms: [this.tokenServer.origin] },
    };
  }

  /** Pushes an image that says `motd` as alice/app:1, to both. */
  async pushPrivate(motd: string): Promise<void> {
    const image = await busyboxImageSaying('private', motd);
    for (const registry of [this.passwords, this.tokens])
      await registry.push(image, 'alice/app:1', this.alice);
  }

  /** Of which none may be found where others can read. */
  secrets(): string[] {
    const people = [this.alice, this.bob];
    return [
      ...people.flatMap((one) => [one.password, one.identityToken, basic(one)]),
      ...this.tokenServer.issued,
    ];
  }

  async end(): Promise<void> {
    await Promise.all([this.passwords.end(), this.tokens.end(), this.tokenServer.stop()]);
  }
}
