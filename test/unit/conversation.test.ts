import assert from 'node:assert/strict';

import { stowage } from '#proto';

import type { StowageError } from '../../wrapper/error.js';
import { Conversation } from '../../wrapper/rpc/conversation.js';

const { PrepareRequest } = stowage.v1;

describe('Conversation', () => {
  const talk = (patienceMs: number, onAsk: (conversation: Conversation, name: string) => void) => {
    const conversation: Conversation = new Conversation({
      patienceMs,
      signal: new AbortController().signal,
      ask: ({ name }) => onAsk(conversation, name),
      breakOff: (reason) => assert.fail(reason),
    });
    return conversation;
  };
  const refuses = (code: string, reason: RegExp) => (error: StowageError) => {
    assert.equal(error.code, code);
    assert.match(error.message, reason);
    return true;
  };

  it('does not wait for ever for a client that says nothing', async () => {
    const silent = talk(20, () => undefined);
    await assert.rejects(
      silent.request(),
      refuses('client-silent', /did not send its request within 0\.02 s/),
    );
    await assert.rejects(silent.read('index.json', 1), refuses('client-silent', /"index\.json" within/));
  });

  it('asks for no more than sixteen documents', async () => {
    const answering = talk(1000, (conversation, name) =>
      conversation.receive(new PrepareRequest({ document: { name, content: Buffer.from('x') } })),
    );
    for (let i = 0; i < 16; i++) assert.equal((await answering.read(String(i), 1)).length, 1);
    await assert.rejects(answering.read('16', 1), refuses('image-malformed', /more than 16/));
  });
});
