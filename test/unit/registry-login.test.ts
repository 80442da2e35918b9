import assert from 'node:assert/strict';
import { inspect } from 'node:util';

import { parseReference } from '../../wrapper/image/reference.js';
import type { RegistryClient } from '../../wrapper/registry/client.js';
import { type Login, type RegistrySession, SessionClosed } from '../../wrapper/registry/session.js';
import { FaultRegistry, sha256, type TokenAnswer } from '../support/fault-registry.js';
import { isCode } from '../support/is-code.js';
import { askIn, heardIn, login, quickClient } from '../support/registry-session.js';

const secret = 'open sesame';
const layer = Buffer.from('a layer');
const basicOf = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

describe('a login', () => {
  let registry: FaultRegistry;
  let client: RegistryClient;
  const asked: string[] = [];
  const sessions: RegistrySession[] = [];
  const waiting = heardIn([]);
  const reference = (name = 'team/app:1') => parseReference(`${registry.host}/${name}`);
  const sessionWith = (make: () => Login | undefined): RegistrySession => {
    const session = client.session(askIn(asked, make));
    sessions.push(session);
    return session;
  };
  /** A token service where only ana with the right password gets a token, or everybody another one. */
  const tokensFor =
    (token: string, others?: string): TokenAnswer =>
    ({ headers }) => {
      if (headers.authorization === basicOf('ana', secret))
        return { status: 200, body: JSON.stringify({ token }) };
      if (headers.authorization === undefined && others !== undefined)
        return { status: 200, body: JSON.stringify({ token: others }) };
      return {
        status: 401,
        body: JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'wrong password' }] }),
      };
    };
  const authorizations = (path: RegExp): (string | undefined)[] =>
    registry.requests.filter(({ url }) => path.test(url ?? '')).map(({ headers }) => headers.authorization);

  beforeEach(async () => {
    registry = await FaultRegistry.start();
    registry.addImage('team/app', '1', { layers: [layer] });
    registry.addImage('team/other', '1', { layers: [layer] });
    client = quickClient({ [registry.host]: { http: true } });
    asked.length = 0;
  });
  afterEach(async () => {
    for (const session of sessions.splice(0)) session.close();
    client.close();
    await registry.stop();
  });

  it('is not asked for where everybody may read', async () => {
    await sessionWith(() => login('ana', secret)).manifest(reference(), waiting);
    assert.deepEqual(asked, []);
    assert.deepEqual(authorizations(/./), [undefined]);
  });

  it('opens a registry that wants Basic, and is asked for once', async () => {
    registry.requireBasic('ana', secret);
    const session = sessionWith(() => login('ana', secret));
    const { digest } = await session.manifest(reference(), waiting);
    assert.equal(await session.headManifest(reference(), waiting), digest);
    await session.manifest(reference('team/other:1'), waiting);
    assert.deepEqual(asked, [`${registry.host} team/app`]);
  });

  it('goes to the token service where a registry wants Bearer, and not to the registry', async () => {
    registry.requireToken('t0ken', tokensFor('t0ken'));
    const session = sessionWith(() => login('ana', secret));
    await session.manifest(reference(), waiting);
    await session.manifest(reference(), waiting);
    assert.deepEqual(authorizations(/^\/token/), [basicOf('ana', secret)]);
    assert.deepEqual(authorizations(/^\/v2/), [undefined, 'Bearer t0ken', 'Bearer t0ken']);
  });

  it('goes by Bearer where a registry takes Basic too, in one header or two', async () => {
    registry.requireToken('t0ken', tokensFor('t0ken'));
    registry.requireBasic('ana', secret);
    await sessionWith(() => login('ana', secret)).manifest(reference(), waiting);
    registry.inject(/manifests/, {
      kind: 'status',
      status: 401,
      headers: { 'www-authenticate': `Basic realm="x", Bearer realm="${registry.origin}/token"` },
    });
    await sessionWith(() => login('ana', secret)).manifest(reference(), waiting);
    assert.deepEqual(authorizations(/^\/v2/), [undefined, 'Bearer t0ken', undefined, 'Bearer t0ken']);
  });

  it('goes by Basic where the token service may not have it', async () => {
    registry.requireToken('t0ken', tokensFor('t0ken'), 'http://127.0.0.2:1/token');
    registry.requireBasic('ana', secret);
    await sessionWith(() => login('ana', secret)).manifest(reference(), waiting);
  });

  it('may be an identity token, by POST', async () => {
    const bodies: string[] = [];
    registry.requireToken('t0ken', ({ method }, body) => {
      bodies.push(`${method} ${body}`);
      return { status: 200, body: '{"access_token":"t0ken","expires_in":300}' };
    });
    await sessionWith(() => login('', '', 'refresh me')).manifest(reference(), waiting);
    const expected =
      'POST grant_type=refresh_token&client_id=stowaged&scope=repository%3Ateam%2Fapp%3Apull&service=test&refresh_token=refresh+me';
    assert.deepEqual(bodies, [expected]);
    await sessionWith(() => login('<token>', 'refresh me')).manifest(reference(), waiting);
    assert.deepEqual(bodies, [expected, expected], "docker's way to say it");
    assert.equal(registry.count(/refresh/), 0, 'never in a URL');
  });

  it('that is an identity token is not sent on by a redirect', async () => {
    const elsewhere = await FaultRegistry.start();
    try {
      registry.requireToken('t0ken', () => ({ status: 200, body: '{"token":"t0ken"}' }));
      registry.inject(/^\/token/, { kind: 'redirect', to: `${elsewhere.origin}/token` });
      await assert.rejects(
        sessionWith(() => login('', '', 'refresh me')).manifest(reference(), waiting),
        isCode('registry-misbehaving', /login to be sent on/),
      );
      assert.equal(elsewhere.requests.length, 0);
    } finally {
      await elsewhere.stop();
    }
  });

  it('that is an identity token cannot open what takes Basic alone', async () => {
    registry.requireBasic('ana', secret);
    await assert.rejects(
      sessionWith(() => login('', '', 'refresh me')).manifest(reference(), waiting),
      isCode('login-refused', /name and a password only.*identity token from ~\/.docker/, /refresh me/),
    );
  });

  it('is not sent to the host that a token service leads to', async () => {
    const elsewhere = await FaultRegistry.start();
    try {
      elsewhere.requireToken('t0ken', () => ({ status: 200, body: '{"token":"t0ken"}' }));
      registry.requireToken('t0ken', tokensFor('t0ken'));
      registry.inject(/^\/token/, { kind: 'redirect', to: `${elsewhere.origin}/token` });
      await sessionWith(() => login('ana', secret)).manifest(reference(), waiting);
      assert.equal(elsewhere.requests[0]?.headers.authorization, undefined);
    } finally {
      await elsewhere.stop();
    }
  });

  it('is not sent where the registry leads to, even if that wants one', async () => {
    const elsewhere = await FaultRegistry.start();
    try {
      elsewhere.requireBasic('ana', secret);
      registry.inject(/blobs/, { kind: 'redirect', to: `${elsewhere.origin}/v2/x?signature=s3cret` });
      const blob = sessionWith(() => login('ana', secret)).openBlob(
        reference(),
        sha256(layer),
        { from: 0 },
        waiting,
      );
      await assert.rejects(
        blob,
        isCode('registry-failing', new RegExp(`leads to ${elsewhere.host}, which refuses`), /s3cret/),
      );
      assert.deepEqual(asked, []);
      assert.equal(elsewhere.requests.length, 1);
    } finally {
      await elsewhere.stop();
    }
  });

  it('that the registry refuses is named with its source, and never shown', async () => {
    registry.requireBasic('ana', secret);
    await assert.rejects(
      sessionWith(() => login('ben', secret)).manifest(reference(), waiting),
      isCode(
        'login-refused',
        new RegExp(
          `image ${registry.host}/team/app:1: registry ${registry.host} refuses the login of ben from ~/.docker/config.json; run 'podman login --authfile ~/.config/containers/auth.json ${registry.host}'`,
        ),
        /sesame/,
      ),
    );
    assert.equal(registry.count(/manifests/), 2, 'no silent attempt without it');
  });

  it('that the token service refuses is named with its source', async () => {
    registry.requireToken('t0ken', tokensFor('t0ken', 'for everybody'));
    await assert.rejects(
      sessionWith(() => login('ben', secret)).manifest(reference(), waiting),
      isCode(
        'login-refused',
        /token service .* refuses the login of ben .*\(it says "wrong password"\)/,
        /sesame/,
      ),
    );
    assert.deepEqual(authorizations(/^\/token/), [basicOf('ben', secret)]);
  });

  it('that does not open the image is told from one that is wrong', async () => {
    registry.requireToken('t0ken', tokensFor('another'));
    await assert.rejects(
      sessionWith(() => login('ana', secret)).manifest(reference(), waiting),
      isCode('registry-denied', /does not show it to ana from ~\/.docker\/config.json; ask its owner/),
    );
    assert.equal(registry.count(/^\/token/), 1, 'a 401 loop ends');
    registry.requireToken('t0ken', tokensFor('t0ken'));
    registry.inject(/manifests/, { kind: 'status', status: 401, headers: challenge(registry) });
    registry.inject(/manifests/, {
      kind: 'status',
      status: 403,
      body: JSON.stringify({ errors: [{ code: 'DENIED', message: `not\u202e for ${secret}` }] }),
    });
    await assert.rejects(
      sessionWith(() => login('ana', secret)).manifest(reference(), waiting),
      isCode('registry-denied', /does not show it to ana/, /sesame/),
    );
  });

  it('is refreshed once when its token has expired', async () => {
    registry.requireToken('first', tokensFor('first'));
    const session = sessionWith(() => login('ana', secret));
    await session.manifest(reference(), waiting);
    registry.requireToken('second', tokensFor('second'));
    await session.manifest(reference(), waiting);
    assert.equal(registry.count(/^\/token/), 2);
    registry.requireToken('third', tokensFor('another'));
    await assert.rejects(session.manifest(reference(), waiting), isCode('registry-denied', /does not show/));
    assert.equal(registry.count(/^\/token/), 3);
    assert.deepEqual(asked, [`${registry.host} team/app`]);
  });

  it('is refreshed by the challenge that a stranger gets, as NGC answers those with an old token in another way', async () => {
    registry.requireToken('first');
    const session = sessionWith(() => undefined);
    await session.manifest(reference(), waiting);
    registry.requireToken('second');
    registry.inject(/manifests/, {
      kind: 'status',
      status: 401,
      headers: { 'www-authenticate': 'Bearer realm="https://authn.invalid/token",error="invalid_token"' },
    });
    await session.manifest(reference(), waiting);
  });

  it('uses a token no longer than it lives', async () => {
    registry.requireToken('t0ken', () => ({ status: 200, body: '{"token":"t0ken","expires_in":0}' }));
    for (const session of [sessionWith(() => login('ana', secret)), client.session()]) {
      registry.requests.length = 0;
      await session.manifest(reference(), waiting);
      await session.manifest(reference(), waiting);
      assert.deepEqual(authorizations(/^\/v2/), [undefined, 'Bearer t0ken', undefined, 'Bearer t0ken']);
    }
  });

  it('is not got around by a token that anybody gets', async () => {
    registry.requireToken('all', tokensFor('anas', 'all'));
    await client.session().manifest(reference(), waiting);
    const session = sessionWith(() => login('ana', secret));
    registry.requireToken('anas', tokensFor('anas', 'all'));
    await session.manifest(reference(), waiting);
    assert.deepEqual(authorizations(/^\/token/), [undefined, basicOf('ana', secret)]);
    // Some registries answer a stranger with 404, so that to come as one would be the end of it.
    assert.deepEqual(authorizations(/^\/v2/).slice(2), [undefined, 'Bearer anas']);
  });

  it('opens nothing to others', async () => {
    registry.requireToken('anas', tokensFor('anas', 'all'));
    await sessionWith(() => login('ana', secret)).manifest(reference(), waiting);
    for (const other of [
      client.session(),
      sessionWith(() => undefined),
      sessionWith(() => login('ben', 'x')),
    ]) {
      await assert.rejects(
        other.manifest(reference(), waiting),
        isCode(other === sessions.at(-1) ? 'login-refused' : 'registry-denied', /login/),
      );
    }
  });

  it('is wished for where there is none, with the reason if there should be one', async () => {
    registry.requireBasic('ana', secret);
    const image = `image ${registry.host}/team/app:1: registry ${registry.host} wants a login`;
    const remedy = `run 'podman login --authfile ~/\\.config/containers/auth\\.json ${registry.host}' \\(or 'docker login ${registry.host}'\\) on a login node, or check the spelling`;
    await assert.rejects(
      sessionWith(() => undefined).manifest(reference(), waiting),
      isCode('registry-denied', new RegExp(`^${image}; ${remedy}$`)),
    );
    const problem = '~/.docker/config.json is not JSON';
    await assert.rejects(
      sessionWith(() => ({ ...login('', ''), problem })).manifest(reference(), waiting),
      isCode('registry-denied', new RegExp(`^${image}, and there is none: ${problem}; ${remedy}$`)),
    );
  });

  it('is overwritten when its session closes, which then takes no more requests', async () => {
    registry.requireToken('t0ken', tokensFor('t0ken'));
    const mine = login('ana', secret, '');
    const session = sessionWith(() => mine);
    await session.manifest(reference(), waiting);
    session.close();
    assert.deepEqual(mine.password, Buffer.alloc(secret.length));
    await assert.rejects(session.manifest(reference(), waiting), SessionClosed);
    await assert.rejects(session.openBlob(reference(), sha256(layer), { from: 0 }, waiting), SessionClosed);
  });

  it('that comes after its session closed is overwritten too', async () => {
    registry.requireBasic('ana', secret);
    const mine = login('ana', secret);
    let answer: (login: Login) => void = () => undefined;
    let wasAsked: () => void = () => undefined;
    const isAsked = new Promise<void>((resolve) => (wasAsked = resolve));
    const session = client.session(() => {
      wasAsked();
      return new Promise((resolve) => (answer = resolve));
    });
    const manifest = session.manifest(reference(), waiting);
    await isAsked;
    session.close();
    answer(mine);
    await assert.rejects(manifest, SessionClosed);
    assert.deepEqual(mine.password, Buffer.alloc(secret.length));
  });

  it('leaves a body that is being read alone when its session closes', async () => {
    registry.requireBasic('ana', secret);
    const session = sessionWith(() => login('ana', secret));
    const { body, totalBytes, partial } = await session.openBlob(
      reference(),
      sha256(layer),
      { from: 0 },
      waiting,
    );
    session.close();
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(layer));
    assert.deepEqual([totalBytes, partial], [layer.length, false]);
  });

  it('does not show when somebody looks into client or session', async () => {
    registry.requireToken('t0ken', tokensFor('t0ken'));
    const session = sessionWith(() => login('ana', secret));
    await session.manifest(reference(), waiting);
    const shown = inspect([client, session], { depth: 20, showHidden: true });
    assert.doesNotMatch(shown, /sesame|t0ken|6f 70 65 6e/);
  });
});

function challenge(registry: FaultRegistry): Record<string, string> {
  return { 'www-authenticate': `Bearer realm="${registry.origin}/token"` };
}
