import assert from 'node:assert/strict';

import type { ErrorCode, StowageError } from '../../wrapper/error.js';
import { RegistryClient, type RegistryClientOptions, type Waiting } from '../../wrapper/registry/client.js';
import type { AskLogin, Login } from '../../wrapper/registry/session.js';

/** Limits for tests that let things go wrong and would not wait for it. */
export const quickLimits: RegistryClientOptions['limits'] = {
  connectTimeoutMs: 1000,
  minimumBytesPerSecond: 1000,
  rateWindowMs: 300,
  retries: 3,
  firstPauseMs: 5,
  longestPauseMs: 50,
};

export const quickClient = (registries: RegistryClientOptions['registries']): RegistryClient =>
  new RegistryClient({ limits: quickLimits, registries });

/** What a user hears while waiting, without the sign that a wait is over. */
export const heardIn = (sentences: string[]): Waiting => ({
  signal: new AbortController().signal,
  onWait: (sentence) => {
    if (sentence !== '') sentences.push(sentence);
  },
});

export const login = (username: string, password: string, identityToken = ''): Login => ({
  username,
  password: Buffer.from(password),
  identityToken: Buffer.from(identityToken),
  source: '~/.docker/config.json',
  problem: '',
});

/** Has logins by registry, as often as it is asked, and notes who asked. */
export const askIn = (asked: string[], make: () => Login | undefined): AskLogin => {
  return (registry, repository) => {
    asked.push(`${registry} ${repository}`);
    return Promise.resolve(make());
  };
};

export const isCode =
  (code: ErrorCode, reason: RegExp, never?: RegExp) =>
  (error: StowageError): true => {
    assert.equal(error.code, code, error.stack);
    assert.match(error.message, reason);
    for (let at: unknown = error; never && at instanceof Error; at = at.cause) {
      assert.doesNotMatch(`${at.message}\n${at.stack}\n${JSON.stringify(at)}`, never);
    }
    return true;
  };
