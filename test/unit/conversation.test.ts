import assert from 'node:assert/strict';

import { stowage } from '#proto';

import type { StowageError } from '../../wrapper/error.js';
import type { Login } from '../../wrapper/registry/session.js';
import { Conversation, type Question } from '../../wrapper/rpc/conversation.js';
import { isCode } from '../support/is-code.js';

const { PrepareRequest } = stowage.v1;

describe('Conversation', () => {
  const talk = (patienceMs: number, onAsk: (conversation: Conversation, question: Question) => void) => {
    const conversation: Conversation = new Conversation({
      patienceMs,
      signal: new AbortController().signal,
      ask: (question) => onAsk(conversation, question),
      breakOff: (reason) => assert.fail(reason),
    });
    return conversation;
  };

  it('does not wait for ever for a client that says nothing', async () => {
    const silent = talk(20, () => undefined);
    await assert.rejects(
      silent.request(),
      isCode('client-silent', /did not send its request within 0\.02 s/),
    );
    await assert.rejects(silent.read('index.json', 1), isCode('client-silent', /"index\.json" within/));
  });

  it('breaks off when something comes that nobody asked for', () => {
    const reasons: StowageError[] = [];
    const conversation = new Conversation({
      patienceMs: 1000,
      signal: new AbortController().signal,
      ask: () => undefined,
      breakOff: (reason) => reasons.push(reason),
    });
    conversation.receive(new PrepareRequest({}));
    assert.match(reasons[0]?.message ?? '', /nobody had asked/);
  });

  it('asks for no more than sixteen documents', async () => {
    const answering = talk(1000, (conversation, question) => {
      const name = 'documentWanted' in question ? question.documentWanted.name : '';
      conversation.receive(new PrepareRequest({ document: { name: name ?? '', content: Buffer.from('x') } }));
    });
    for (let i = 0; i < 16; i++) assert.equal((await answering.read(String(i), 1)).length, 1);
    await assert.rejects(answering.read('16', 1), isCode('image-malformed', /more than 16/));
  });

  const registry = 'quay.io';
  const answered = (login: object): Promise<Login | undefined> =>
    talk(1000, (conversation) =>
      conversation.receive(new PrepareRequest({ login: { registry, ...login } })),
    ).login(registry, 'team/app');

  it('hands over a login and leaves none of it in the message', async () => {
    const message = new PrepareRequest({
      login: { registry, username: 'ann', password: Buffer.from('s3cret'), source: '~/.docker/config.json' },
    });
    const asked: Question[] = [];
    const conversation = talk(1000, (self, question) => {
      asked.push(question);
      self.receive(message);
    });
    const login = await conversation.login(registry, 'team/app');
    assert.deepEqual(asked, [{ loginWanted: { registry, repository: 'team/app' } }]);
    assert.equal(login?.username, 'ann');
    assert.equal(login.password.toString(), 's3cret');
    assert.equal(login.source, '~/.docker/config.json');
    assert.deepEqual(message.login?.password, Buffer.alloc(6));
  });

  it('takes an empty login for none, and keeps the reason that there is none', async () => {
    assert.equal(await answered({}), undefined);
    const { problem, username } = (await answered({ problem: 'auth.json is\nnot JSON' })) ?? {};
    assert.deepEqual([problem, username], ['auth.json is\\u000anot JSON', '']);
  });

  const wrong: [string, object, RegExp][] = [
    [
      'a login for another registry',
      { registry: 'docker.io', password: Buffer.from('x') },
      /another registry/,
    ],
    ['a name over 1 KiB', { username: 'x'.repeat(1025) }, /too long/],
    ['a password over 64 KiB', { password: Buffer.alloc(64 * 1024 + 1, 'x') }, /too long/],
    ['a token over 64 KiB', { identityToken: Buffer.alloc(64 * 1024 + 1, 'x') }, /too long/],
    ['a login and why there is none', { username: 'ann', problem: 'x' }, /the reason why/],
  ];
  for (const [what, login, reason] of wrong) {
    it(`refuses ${what}, and wipes it`, async () => {
      await assert.rejects(answered(login), isCode('request-invalid', reason));
      const { password } = login as { password?: Buffer };
      assert.ok(password?.every((byte) => byte === 0) ?? true);
    });
  }

  it('refuses a document where a login was asked for, and a login where nothing was', async () => {
    const odd = talk(1000, (self) => self.receive(new PrepareRequest({ document: { name: 'x' } })));
    await assert.rejects(odd.login(registry, 'a'), isCode('request-invalid', /registry quay\.io was asked/));
    const password = Buffer.from('s3cret');
    const unasked = new PrepareRequest({ login: { registry, password } });
    const opening = talk(1000, () => undefined);
    const opened = opening.request();
    opening.receive(unasked);
    await assert.rejects(opened, isCode('request-invalid', /begins with a login/));
    assert.deepEqual(password, Buffer.alloc(6));
  });

  it('asks one question at a time', async () => {
    const asked: string[] = [];
    const slow = talk(1000, (self, question) => {
      assert.ok('loginWanted' in question);
      const { registry = '' } = question.loginWanted;
      asked.push(`asks ${registry}`);
      setTimeout(() => {
        asked.push(`hears ${registry}`);
        self.receive(new PrepareRequest({ login: { registry } }));
      }, 5);
    });
    await Promise.all(['a', 'b', 'c'].map((name) => slow.login(name, 'x')));
    assert.deepEqual(asked, ['asks a', 'hears a', 'asks b', 'hears b', 'asks c', 'hears c']);
  });

  it('asks for logins at no more than eight registries', async () => {
    const answering = talk(1000, (self, question) =>
      self.receive(
        new PrepareRequest({
          login: { registry: ('loginWanted' in question && question.loginWanted.registry) || '' },
        }),
      ),
    );
    for (let i = 0; i < 8; i++) assert.equal(await answering.login(`r${i}`, 'x'), undefined);
    await assert.rejects(answering.login('r8', 'x'), isCode('registry-denied', /more than 8 registries/));
  });
});
