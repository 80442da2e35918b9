import assert from 'node:assert/strict';

import { parseReference } from '../../wrapper/image/reference.js';
import { AnonymousTokens } from '../../wrapper/registry/anonymous-tokens.js';
import { endpointsOf } from '../../wrapper/registry/endpoint.js';
import type { HttpRequest, HttpResponse, Transport } from '../../wrapper/registry/http.js';
import { RestingMirrors } from '../../wrapper/registry/mirrors.js';
import { type RealmTrust, trustInRealm } from '../../wrapper/registry/realm.js';
import { Rules } from '../../wrapper/registry/rules.js';
import { RegistrySession } from '../../wrapper/registry/session.js';
import { isCode } from '../support/is-code.js';
import { heardIn, login, quickLimits } from '../support/registry-session.js';

const settings = {
  'registry.example.org': { tokenRealms: ['https://sso.example.net', 'http://10.1.1.1:5001'] },
  'localhost:5000': { http: true },
  '127.0.0.1:5000': {},
};

describe('a token service', () => {
  const rows: [string, string, RealmTrust, string][] = [
    ['ghcr.io', 'https://ghcr.io/token', 'login', 'the registry itself'],
    ['ghcr.io', 'https://ghcr.io:8443/token', 'login', 'another port of the registry'],
    ['registry.gitlab.com', 'https://gitlab.com/jwt/auth', 'login', 'a domain above it'],
    ['docker.io', 'https://auth.docker.io/token', 'login', 'a domain below it'],
    ['registry-1.docker.io', 'https://auth.docker.io/token', 'login', "docker's under its other name"],
    ['nvcr.io', 'https://nvcr.io/proxy_auth', 'login', "NGC's"],
    ['nvcr.io', 'https://authn.nvidia.com/token', 'login', "NGC's other one"],
    ['docker.elastic.co', 'https://docker-auth.elastic.co/auth', 'login', "Elastic's"],
    ['[2001:db8::1]:5000', 'https://[2001:db8::1]/token', 'login', 'the same IPv6 address'],
    ['ghcr.io', 'https://GHCR.IO./token', 'login', 'the registry with a dot at the end'],
    ['registry.example.org', 'https://sso.example.net/a', 'login', 'listed'],
    ['registry.example.org', 'http://10.1.1.1:5001/a', 'login', 'listed, http'],
    ['localhost:5000', 'http://localhost:5000/token', 'login', 'on the very origin of a registry with http'],

    ['ghcr.io', 'https://evil.example/token', 'anonymous', 'an unrelated domain'],
    ['ghcr.io', 'https://ghcr.io.evil.example/token', 'anonymous', 'a domain that begins with its name'],
    ['ghcr.io', 'https://evilghcr.io/token', 'anonymous', 'a domain that ends with its name'],
    ['ghcr.io', 'https://io/token', 'anonymous', 'a top-level domain'],
    ['a.example.org', 'https://b.example.org/token', 'anonymous', 'a sibling'],
    ['nvcr.io', 'https://auth.docker.io/token', 'anonymous', "another registry's"],
    ['10.0.0.1:5000', 'https://10.0.0.2/token', 'anonymous', 'another address'],
    [
      'registry.example.org',
      'https://sso.example.net:444/a',
      'anonymous',
      'another port of one that is listed',
    ],

    ['ghcr.io', 'http://ghcr.io/token', 'nothing', 'over http'],
    ['localhost:5000', 'http://localhost:5001/token', 'nothing', 'over http on another port'],
    ['registry.example.org', 'http://sso.example.net/a', 'nothing', 'over http where https is listed'],
    ['ghcr.io', 'https://127.0.0.1/token', 'nothing', 'on a loopback address'],
    ['ghcr.io', 'https://127.1/token', 'nothing', 'on a short loopback address'],
    ['ghcr.io', 'https://0x7f000001/token', 'nothing', 'on a loopback address in hexadecimal'],
    ['ghcr.io', 'https://0.0.0.0/token', 'nothing', 'on no address'],
    ['ghcr.io', 'https://localhost/token', 'nothing', 'on localhost'],
    ['ghcr.io', 'https://x.localhost./token', 'nothing', 'below localhost'],
    ['ghcr.io', 'https://169.254.169.254/token', 'nothing', 'on a link-local address'],
    ['ghcr.io', 'https://[::1]/token', 'nothing', 'on the IPv6 loopback address'],
    ['ghcr.io', 'https://[::]/token', 'nothing', 'on no IPv6 address'],
    ['ghcr.io', 'https://[fe80::1]/token', 'nothing', 'on an IPv6 link-local address'],
    ['ghcr.io', 'https://[::ffff:127.0.0.1]/token', 'nothing', 'on a mapped loopback address'],
    ['ghcr.io', 'https://[::ffff:a9fe:a9fe]/token', 'nothing', 'on a mapped link-local address'],
    [
      '127.0.0.1:5000',
      'https://127.0.0.1:5001/token',
      'nothing',
      'on a loopback address, of a registry there',
    ],
  ];
  for (const [registry, realm, expected, what] of rows) {
    const given = { login: 'a login', anonymous: 'a question without a login', nothing: 'nothing' }[expected];
    it(`gets ${given}: ${what} (${registry}, ${realm})`, () => {
      const [endpoint] = endpointsOf(parseReference(`${registry}/team/app`), new Rules(settings));
      assert.ok(endpoint);
      assert.equal(trustInRealm(new URL(realm), endpoint), expected);
    });
  }
});

/** A registry that takes one token only, and a token service that gives anybody one. */
class Answers implements Transport {
  readonly requests: HttpRequest[] = [];

  constructor(
    private readonly realm: string,
    private readonly token: string,
    private readonly opens: string,
  ) {}

  async send(request: HttpRequest): Promise<HttpResponse> {
    this.requests.push(request);
    if (request.url.href.startsWith(this.realm))
      return this.#answer(request, 200, JSON.stringify({ token: this.token }));
    if (request.headers.authorization === `Bearer ${this.opens}`) return this.#answer(request, 200, '{}');
    return this.#answer(request, 401, '', {
      'www-authenticate': `Bearer realm="${this.realm}?x=1",service="s"`,
    });
  }

  async #answer({ url }: HttpRequest, status: number, text: string, headers = {}): Promise<HttpResponse> {
    const body = (async function* () {
      yield Buffer.from(text);
    })();
    return { status, headers, url, body, discard: () => undefined };
  }
}

describe('a login and its token service', () => {
  const reference = parseReference('registry.example.org/team/app:1');
  const waiting = heardIn([]);
  const sessionOn = (transport: Transport): RegistrySession => {
    const common = { tokens: new AnonymousTokens(), resting: new RestingMirrors(), limits: quickLimits };
    return new RegistrySession({ transport, rules: new Rules(settings), ...common }, () =>
      Promise.resolve(login('ana', 'sesame')),
    );
  };

  it('are kept apart where they are not known to belong together; the image may be public', async () => {
    const answers = new Answers('https://evil.example/token', 'all', 'all');
    await sessionOn(answers).manifest(reference, waiting);
    assert.deepEqual(
      answers.requests.map(({ url, headers }) => [url.hostname, headers.authorization]),
      [
        ['registry.example.org', undefined],
        ['evil.example', undefined],
        ['registry.example.org', 'Bearer all'],
      ],
    );
    assert.equal(answers.requests[1]?.url.search, '?x=1&service=s&scope=repository%3Ateam%2Fapp%3Apull');
  });

  it('are kept apart, and the user is told how the site allows it', async () => {
    const answers = new Answers('https://evil.example/token', 'all', 'anas');
    await assert.rejects(
      sessionOn(answers).manifest(reference, waiting),
      isCode(
        'registry-denied',
        /wants a login, and that of ana from ~\/.docker\/config.json was not sent to its token service https:\/\/evil.example, .*\[registries\."registry\.example\.org"\] token_realms = \["https:\/\/evil\.example"\]/,
        /sesame/,
      ),
    );
    assert.ok(answers.requests.every(({ headers }) => !headers.authorization?.startsWith('Basic')));
  });

  it('are brought together where the site lists it', async () => {
    const answers = new Answers('http://10.1.1.1:5001/token', 'anas', 'anas');
    await sessionOn(answers).manifest(reference, waiting);
    assert.match(answers.requests[1]?.headers.authorization ?? '', /^Basic /);
  });

  it('end in an error where not even a question is safe', async () => {
    const answers = new Answers('http://127.0.0.1:631/token', 'all', 'all');
    await assert.rejects(
      sessionOn(answers).manifest(reference, waiting),
      isCode(
        'registry-misbehaving',
        /http:\/\/127\.0\.0\.1:631, .*token_realms = \["http:\/\/127\.0\.0\.1:631"\]/,
      ),
    );
    assert.equal(answers.requests.length, 1);
  });
});
